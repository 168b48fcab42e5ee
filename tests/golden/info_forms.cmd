model m.gm 'import "vision.gm"
model m(DEPTH = 3) {
  input pixels[3, 32, 32]
  x = patch_embed(pixels, 8, 24) @ stem
  repeat l < DEPTH { x = gmlp_block(x, 48) @ blocks[l] }
  output y = dense(mean_tokens(x), 10) @ head
}'
echo '--- text'; $GMLPC info m.gm | grep -v '^stack'
echo '--- deeper'; $GMLPC info m.gm --depth 2 --csv
echo '--- csv'; $GMLPC info m.gm --csv
echo '--- markdown'; $GMLPC info m.gm --markdown | grep -v '^- stack'
echo '--- json'; $GMLPC info m.gm --json | sed 's/, *"stack_bytes": *[0-9]*//; s/, *{/,\n{/g; s/\], *"/],\n"/g'
$GMLPC info m.gm --json --csv
