model m.gm 'model m(D = 1) { input x[2]  repeat l < 100 { const a[i] = sum[j](i * j % 7) for i < 5000, j < 5000 + D }  output y[i] = x[i] + a[i] for i < 2 }'
(ulimit -S -t 1; $GMLPC explore m.gm --vary D=1 --screen-only -o out)
