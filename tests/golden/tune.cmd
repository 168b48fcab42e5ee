model m.gm 'model m() { input x[40, 30]  param w[50, 30]  output y[i, n] = sum[k](x[i, k] * w[n, k]) }'
cat >m.schedule <<'END'
gmlpc schedule 1
neon m=7 n=8 k=9 tile=3x2 groups=2 # of another machine: stays
END
$GMLPC tune m.gm --target scalar --budget 0.6 | sed -n 's/measured, . changed/measured/p'
grep -v '^scalar' m.schedule
$GMLPC verify m.gm --target scalar --backend c --schedule m.schedule >/dev/null && echo verified
$GMLPC tune m.gm --target all
$GMLPC tune m.gm --budget 0
