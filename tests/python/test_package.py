"""The package as a whole: types, how fast it is imported, and that parties stay apart."""
import os
import subprocess
import sys

import pytest

import helrm

PLACE = os.path.dirname(helrm.__file__)


def test_types():
    pytest.importorskip("mypy")
    done = subprocess.run([sys.executable, "-m", "mypy", "--config-file",
                           os.path.join(os.path.dirname(__file__), "mypy.ini"), PLACE],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_status_has_an_exception():
    from helrm import errors
    header = os.path.join(os.path.dirname(__file__), "../../include/helrm/status.h")
    with open(header) as f:
        listed = [line.split("(")[1].split(",")[0] for line in f if line.startswith("\tX(HEL_")]
    assert ["HEL_OK", *(e.status for e in errors.BY_CODE)] == listed


def test_all_is_there():
    for name in helrm.__all__:
        assert getattr(helrm, name).__doc__, name


def test_import_is_light():
    """Neither a party's module nor NumPy is loaded before it is used."""
    done = subprocess.run([sys.executable, "-c", "import sys, helrm; print(*sys.modules)"],
                          capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "numpy" not in loaded and not [m for m in loaded if m.startswith("helrm._")]


def test_the_server_has_no_secret_key_code():
    done = subprocess.run([sys.executable, "-c", "import sys, helrm; helrm.Server; print(*sys.modules)"],
                          capture_output=True, text=True, check=True)
    assert "helrm._client" not in done.stdout and "helrm._owner" not in done.stdout
    module = os.path.join(PLACE, "_server.abi3.so")
    symbols = subprocess.run(["nm", module], capture_output=True, text=True).stdout
    names = ("hel_secret_key", "hel_encrypt", "hel_decrypt", "hel_keys_generate")
    assert "hel_server_run" in symbols and not [n for n in names if n in symbols]
