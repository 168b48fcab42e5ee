model m.gm 'model m(D = 2) { input x[D]  param w[3, D]  param b[3] ~ zeros  output y[i] = sum[j](w[i, j] * x[j]) + b[i] }
bind other for m {
  w[m, k] = "kernel"[k, m]
  v[m] = "bias"[m]
}'
safetensors c.safetensors '{"kernel":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"F32","shape":[3],"data_offsets":[24,36]}}' 36
$GMLPC pack m.gm --weights c.safetensors --bind other -o m.gmw
