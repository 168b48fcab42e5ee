model m.gm 'model m() { input x[40, 30]  param w[50, 30]  output y[i, n] = sum[k](x[i, k] * w[n, k]) }'
file() { echo 'gmlpc schedule 1' >s; printf '%s\n' "$1" >>s; echo "--- $1"; $GMLPC m.gm -o m.c --schedule s; }
file 'avx9000 m=40 n=50 k=30 panels tile=8x2'
file 'avx512 m=40 n=50 k=30 panels tile=8'
file 'avx512 m=40 n=50 k=30 panels'
file 'avx512 m=40 n=fifty k=30 panels tile=8x2'
file 'avx512 m=40 n=50 k=30 panels tile=8x2 groups=0'
file 'avx512 m=40 n=50 k=30 panels tile=99x2  # more registers than there are'
file 'avx512 m=40 n=50 k=30 panels tile=1x7'
file 'avx512 m=40 n=50 k=30 panels tile=8x2
avx512 m=40 n=50 k=30 panels tile=6x4'
echo 'schedule' >s
$GMLPC m.gm -o m.c --schedule s
$GMLPC m.gm -o m.c --schedule nowhere.schedule
