# The powers of a softmax aren't denormal; those of another exp are, and so are those that the caller gets.
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
        echo "$model $target: $($GMLPC m.gm -m $model --emit=loops --target $target | sed '1,/^kernel/d' | grep -c -e '-87.3365021')"
    done
done
