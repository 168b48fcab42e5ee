model m.gm 'model m() { input x[2]  output y[i] = x[i] + 1 }'
PATH=/nowhere $GMLPC graph m.gm -o m.svg; echo "exit code $?"; test -e m.svg || echo 'nothing is written'
mkdir fails; printf '#!/bin/sh\necho no fonts >&2\nexit 3\n' >fails/dot; chmod +x fails/dot
PATH=$PWD/fails:$PATH $GMLPC graph m.gm -o m.png; echo "exit code $?"
PATH=/nowhere $GMLPC graph m.gm -o m.dot && /bin/grep -c digraph m.dot
$GMLPC graph m.gm -o nowhere/m.dot
$GMLPC graph m.gm -o m.txt
$GMLPC graph m.gm --level kernel
