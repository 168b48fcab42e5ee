model m.gm 'model m() { input x[2]  param w[3, 2]  param b[3] ~ zeros  output y[i] = sum[j](w[i, j] * x[j]) + b[i] }'
printf '{"weight_map": {"w": "../elsewhere.safetensors"}}' >model.safetensors.index.json
$GMLPC pack m.gm --weights model.safetensors.index.json -o m.gmw
