model m.gm 'model m() { input x[2]  param w[3, 2]  param b[3] ~ zeros  output y[i] = sum[j](w[i, j] * x[j]) + b[i] }'
{ little 8 112; printf '%s' '{"w":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},"b":{"dtype":"F32","shape":[3],"data_offsets":[24,36]}}'; printf '\000\000\300\177'; bytes 32; } >c.safetensors
$GMLPC pack m.gm --weights c.safetensors -o m.gmw
