model m.gm 'model m() { input x[2]  param w[3, 2]  param b[3] ~ zeros  output y[i] = sum[j](w[i, j] * x[j]) + b[i] }'
safetensors c.safetensors '{"module.w":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},"module.b":{"dtype":"F32","shape":[3],"data_offsets":[24,36]}}' 36
$GMLPC pack m.gm --weights c.safetensors -o m.gmw
echo 'bind prefixed for m { "*" = "module.*" }' >>m.gm
$GMLPC pack m.gm --weights c.safetensors --bind prefixed -o m.gmw
