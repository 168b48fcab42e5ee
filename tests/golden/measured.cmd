model m.gm 'model m(C = 3) {
  input x[C, 5]
  param weight[C] ~ ones
  param mean[C] ~ measured(0)
  param variance[C] ~ measured(4)
  output y[c, i] = (x[c, i] - mean[c]) * rsqrt(variance[c]) * weight[c]
}'
$GMLPC info m.gm --json | tr ',' '\n' | grep -E 'parameters|measured' | tail -2
$GMLPC info m.gm | grep -A1 '^In all'
$GMLPC init m.gm --seed 1 -o w.safetensors && tail -c 12 w.safetensors | od -An -f
