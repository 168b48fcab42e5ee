model m.gm '
import "activations.gm"
model m(M = 160, K = 2100, N = 272) {
  input x[M, K]
  input z[M, N]
  param w[N, K]
  param b[N]
  output y[i, c] = z[i, c] + gelu(sum[j](x[i, j] * w[c, j]) + b[c])
}'
$GMLPC m.gm --emit=schedule | sed -n '/^calls/,/^weights/p; /^notes/,$p'
$GMLPC m.gm --emit=schedule --reproducible | grep -c '^y.*contraction'
$GMLPC verify m.gm --target all | tail -1
$GMLPC verify m.gm --target all --backend c --set N=257 --set K=4097 | tail -1
