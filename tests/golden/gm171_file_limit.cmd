model m.gm 'model m() { input x[2]  param w[3, 2]  param b[3] ~ zeros  output y[i] = sum[j](w[i, j] * x[j]) + b[i] }'
(ulimit -f 0; $GMLPC m.gm -o m.c; echo "exit code $?") 2>&1 | cat
(ulimit -f 0; $GMLPC init m.gm -o m.safetensors; echo "exit code $?") 2>&1 | cat
$GMLPC info m.gm >/dev/full
echo "exit code $?"
ls
