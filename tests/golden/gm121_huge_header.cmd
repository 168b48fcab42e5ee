model m.gm 'model m() { input x[2]  param w[3, 2]  param b[3] ~ zeros  output y[i] = sum[j](w[i, j] * x[j]) + b[i] }'
{ little 8 4611686018427387904; printf '{}'; } >c.safetensors
$GMLPC pack m.gm --weights c.safetensors -o m.gmw
