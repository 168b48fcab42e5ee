model m.gm 'model m() { input x[2]  output y[i] = x[i] + 1 }'
safetensors c.safetensors '{"x":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}' 2
$GMLPC run m.gm --input x=c.safetensors:x
