model m.gm 'model m() { input x[40, 30]  param w[50, 30]  output y[i, n] = sum[k](x[i, k] * w[n, k]) }'
cat >s <<'END'
gmlpc schedule 1
# used, of a shape that is gone, for another target
avx2 m=40 n=50 k=30 panels tile=3x2
avx2 m=41 n=50 k=30 panels tile=3x2
avx512 m=41 n=50 k=30 panels tile=8x2
END
$GMLPC m.gm -o m.c --target avx2 --schedule s
$GMLPC m.gm --emit=loops --target avx2 | grep -c 'var acc_._.: vector'
$GMLPC m.gm --emit=loops --target avx2 --schedule s 2>/dev/null | grep -c 'var acc_._.: vector'
