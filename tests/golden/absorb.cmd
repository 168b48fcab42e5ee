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
