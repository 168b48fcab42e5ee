model m.gm 'model m() { input x[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]  output y = x }'
$GMLPC info m.gm --batch 2
model m.gm 'model m() { input x[1099511627776]  output y = x }'
$GMLPC info m.gm --batch 2
