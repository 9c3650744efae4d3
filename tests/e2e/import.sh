#!/bin/sh
# Checkpoints made by PyTorch, of every form that docs/import.md lists, imported and scored by both;
# one of each sort compiled and verified: import.sh HELRM. Skipped, loudly, where no Python has torch.
set -eu
case $1 in
/*) helrm=$1 ;;
*) helrm=$PWD/$1 ;;
esac
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
for python in python3 /usr/bin/python3 none; do
	[ "$python" = none ] || ! "$python" -c 'import torch, numpy' 2>/dev/null || break
done
if [ "$python" = none ]; then
	echo "### NO PYTHON WITH TORCH (Debian: python3-torch): the import of real checkpoints is NOT TESTED"
	exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export PYTHONDONTWRITEBYTECODE=1
"$helrm" synth --dataset criteo --rows 60 --seed 9 --out rows.txt >/dev/null
"$python" "$here/import_cases.py" "$helrm"
"$python" "$here/import_compiled.py" "$helrm"
echo "import: torch and helrm agree"
