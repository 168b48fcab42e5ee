# An epilogue that calls a function only where a read lies outside: in a loop over the stored tile, not beside the sums in registers.
model m.gm '
model m(M = 160, K = 512, N = 272) {
  input x[M, K]
  input z[M, N]
  input s[M]
  param w[N, K]
  output y[i, c] = sum[j](x[i, j] * w[c, j]) + z[i + 1, c or exp(s[i])]
}'
$GMLPC m.gm --target avx512 -o m.c
grep -c 'SUM(.*exp' m.c
$GMLPC verify m.gm --target all --backend c | tail -1
