model m.gm '
block norm(x[N, C]) -> [N, C] {
  param weight[C] ~ ones
  param bias[C] ~ zeros
  mu[i] = mean[c](x[i, c])
  y[i, c] = (x[i, c] - mu[i]) * weight[c] + bias[c]
  return y
}
model m(N = 12, D = 16) {
  input x[N, D]
  param w[D, D]
  param mixing[N, N]
  param gamma[D]
  n = norm(x) @ first
  y[i, m] = x[i, m] + gamma[m] * sum[k](n[i, k] * w[m, k])
  z = norm(y) @ second
  output t[i, m] = sum[j](mixing[i, j] * z[j, m])
}'
$GMLPC m.gm --emit=after:absorb | grep -v param
$GMLPC m.gm --emit=schedule | sed -n '/^notes/,$p'
model affine.gm '
model affine(N = 12, D = 16) {
  input x[N, D]
  param alpha[D]
  param beta[D]
  param gamma[D]
  param mixing[N, N]
  param within[D, D]
  param late[N]
  y[i, c] = x[i, c] * alpha[c] + beta[c]
  z[i, c] = x[i, c] + gamma[c] * sum[j](mixing[i, j] * y[j, c])
  early[i, c] = z[i, c] * late[i] + late[i]
  output t[i, m] = sum[c](early[i, c] * within[m, c])
}'
$GMLPC affine.gm --emit=after:absorb | grep -v param
$GMLPC affine.gm --emit=schedule | sed -n '/^notes/,$p'
