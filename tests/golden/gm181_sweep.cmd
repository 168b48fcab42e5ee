model m.gm 'model m(D = 1) { input x[2]  output y = x }'
printf 'vary D=1,2\nmesure 3\n' >sweep.txt
$GMLPC explore m.gm --sweep sweep.txt -o out
$GMLPC explore m.gm --sweep none.txt -o out
