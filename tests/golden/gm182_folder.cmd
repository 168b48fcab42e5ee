model m.gm 'model m(D = 1) { input x[2]  output y = x }'
$GMLPC explore m.gm --vary D=1,2 -o none/out
