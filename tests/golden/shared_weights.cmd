# Weights that several products share are packed once: the steps of a recurrence, tied layers; a part of them, or another order, is another matter.
# A sum over weights alone, as the first step's, whose state is 0, is taken when they are packed.
model m.gm '
model m(T = 5, HIDDEN = 256) {
  input x[T, HIDDEN]
  param w[HIDDEN, HIDDEN]
  param u[HIDDEN, HIDDEN]
  param v[HIDDEN, 64]
  a[t, m] = sum[k](x[t, k] * w[m, k])
  h[d] = 0 for d < HIDDEN
  repeat t < T {
    h[m] = tanh(a[t, m] + sum[k](w[m, k] * h[k]))
  }
  b[t, m] = sum[k](tanh(a[t, k] + h[k]) * w[m, k])
  c[t, m] = sum[k](tanh(b[t, k]) * w[m, k]) for m < 64
  d[t, m] = sum[k](c[t, k] * w[k, m]) for k < 64
  e[t, m] = sum[k](d[t, k] * u[m, k])
  f[t, m] = sum[k](tanh(e[t, k]) * u[m, k])
  output y[t, m] = sum[k](f[t, k] * v[k, m])
}'
$GMLPC m.gm --emit=schedule | sed -n '/^weights/,/^$/p'
$GMLPC verify m.gm --target all --backend c | tail -1
$GMLPC verify m.gm --target all --backend c --batch 2 --reproducible | tail -1
