model m.gm 'import "vision.gm"
model m(DEPTH = 3) {
  input pixels[3, 32, 32]
  x = patch_embed(pixels, 8, 24) @ stem
  repeat l < DEPTH { x = gmlp_block(x, 48) @ blocks[l] }
  output y = dense(mean_tokens(x), 10) @ head
}'
echo '--- blocks'; $GMLPC graph m.gm -o - | sed 1,6d
echo '--- calls of the model alone'; $GMLPC graph m.gm --depth 1 | grep -c '^ *n[0-9]* \['
echo '--- equations'; $GMLPC graph m.gm --level equation --depth 1 | grep -oE '(sum|mean)\[[^<]*'
model turns.gm 'block even(x[N, C]) -> [N, C] {
  param weight[C, C] ~ normal(0, 1)
  y[i, m] = sum[k](x[i, k] * weight[m, k])
  return tanh(y)
}
block odd(x[N, C]) -> [N, C] {
  param weight[N, N] ~ normal(0, 1)
  y[i, c] = x[i, c] + sum[j](weight[i, j] * x[j, c])
  return y
}
block step(h[C], x[C]) -> [C] {
  param weight[C, C] ~ normal(0, 1)
  y[m] = tanh(sum[k](weight[m, k] * h[k]) + x[m])
  return y
}
model turns() {
  input x[4, 8]
  input h[8]
  repeat l < 6 { if l % 2 == 0 { x = even(x) @ layers[l] } else { x = odd(x) @ layers[l] } }
  repeat t < 4 {
    v[c] = x[t, c]
    h = step(h, v) @ shared cell
  }
  output y = h
}'
echo '--- turns of two, and turns that share weights'; $GMLPC graph turns.gm --depth 1 | sed 1,6d
