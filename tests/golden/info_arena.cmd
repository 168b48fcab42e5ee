# Residual, copy with a border and result: placed by size there is a gap; the arena must be as small as what lives at once.
model m.gm 'import "vision.gm"
model m(DEPTH = 6, DIM = 60, SIZE = 16) {
  input pixels[3, SIZE, SIZE]
  x = conv(pixels, DIM, 1) @ stem
  repeat l < DEPTH {
    x = x + gelu(depthwise(x, 7) @ blocks[l].0)
    x = gelu(conv(x, DIM, 1) @ blocks[l].1)
  }
  output y = dense(global_pool(x), 10) @ head
}'
for size in 16 17 28; do $GMLPC info m.gm --set SIZE=$size | grep ^arena; done
$GMLPC info m.gm --json | grep -oE '"arena_[a-z]*_?bytes": [0-9]*'
model none.gm 'model none() { input x[3]  output y = sum[i](x[i]) }'
$GMLPC info none.gm | grep ^arena
