model m.gm 'model m() { input float[3]  output weights[i] = 2 * float[i]  output y[i] = float[i] + 1 }'
$GMLPC m.gm -o m.c
grep -o 'const float \*float_, float \*weights_, float \*y' m.h  | head -1
