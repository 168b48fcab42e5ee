model m.gm 'model m() { input x[2]  param w[3, 2]  param b[3] ~ zeros  output y[i] = sum[j](w[i, j] * x[j]) + b[i] }'
npy w.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (3000, 2), }" 24
$GMLPC pack m.gm --weights w.npy -o m.gmw
