# The powers of a softmax aren't denormal; those of another exp are, and so are those that the caller gets. Where a row holds a NaN, all its results
# are NaN, though the largest of the row leaves it out; where all of a row is masked, too.
model m.gm '
block parts(x[N, M]) -> [N, M] {
  m[i] = max[j](x[i, j])
  e[i, j] = exp(x[i, j] - m[i])
  z[i] = sum[j](e[i, j])
  y[i, j] = e[i, j] / z[i]
  return y
}
model soft(N = 4, M = 33) { input x[N, M]  output y = parts(x) }
model plain(N = 4, M = 33) { input x[N, M]  input m[N]  output y[i, j] = exp(x[i, j] - m[i]) }
model given(N = 4, M = 33) {
  input x[N, M]
  m[i] = max[j](x[i, j])
  output e[i, j] = exp(x[i, j] - m[i])
  output z[i] = sum[j](e[i, j])
}
'
for model in soft plain given; do
    for target in avx512 scalar; do
        $GMLPC m.gm -m $model --emit=loops --target $target >loops
        echo "$model $target: $(sed '1,/^kernel/d' loops | grep -c 'softmax_power('), $(grep -c -e '-87.3365021' loops)"
    done
done
model n.gm '
model nans(N = 4, M = 33) {
  input x[N, M]
  s[i, j] = where(i == 1 && j == 5, sqrt(0 - 1 - x[i, j]), where(i == 2, log(x[i, j]), x[i, j]))
  m[i] = max[j](s[i, j])
  e[i, j] = exp(s[i, j] - m[i])
  z[i] = sum[j](e[i, j])
  output y[i, j] = e[i, j] / z[i]
  output nan[i] = sum[j](where(y[i, j] == y[i, j], 0, 1))
}
'
npy x.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 33), }" 528
for target in all scalar; do $GMLPC run n.gm --input x=x.npy --target $target --backend c --top 4 | grep -A 4 '^nan'; done
$GMLPC n.gm --emit=loops --target avx512 | grep -c 'max_0 = max('
