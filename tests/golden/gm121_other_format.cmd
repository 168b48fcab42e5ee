model m.gm 'model m() { input x[2]  param w[3, 2]  param b[3] ~ zeros  output y[i] = sum[j](w[i, j] * x[j]) + b[i] }'
$GMLPC pack m.gm --weights m.gm -o m.gmw
mkdir empty
$GMLPC pack m.gm --weights empty -o m.gmw
