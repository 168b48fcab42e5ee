model m.gm 'model m(D = 1) { input x[2]  output y = x }'
GMLPC_MPI=./none.so OMPI_COMM_WORLD_SIZE=2 $GMLPC explore m.gm --vary D=1,2 -o out
