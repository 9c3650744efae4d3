#!/bin/sh
# run.sh BUILD PYTHON HELRM HELRM_SERVER [PYTEST OPTION...]: the package's tests, against what was built.
set -eu
build=$1 python=$2
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
HELRM=$(realpath "$3") HELRM_SERVER=$(realpath -m "$4") HELRM_CALIBRATION=none PYTHONPATH=$build/python PYTHONDONTWRITEBYTECODE=1 MYPYPATH=
export HELRM HELRM_SERVER HELRM_CALIBRATION PYTHONPATH PYTHONDONTWRITEBYTECODE
shift 4
for module in numpy pytest; do
	if ! "$python" -c "import $module" 2>/dev/null; then
		echo "### no $module for $python: THE PACKAGE FOR PYTHON IS NOT TESTED"
		exit 77
	fi
done
for module in torch pandas sklearn mypy; do
	"$python" -c "import $module" 2>/dev/null || echo "### no $module for $python: WHAT STANDS ON IT IS NOT TESTED"
done
exec "$python" -m pytest -q -p no:cacheprovider "$@" "$here"
