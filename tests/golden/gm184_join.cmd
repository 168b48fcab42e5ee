model m.gm 'model m(D = 1) { input x[2]  output y = x }'
printf 'name,top1\nD=1,70\n' >acc.csv
$GMLPC explore m.gm --vary D=1,2 --join acc.csv -o out
$GMLPC explore m.gm --vary D=1,2 --front beauty -o out
