"""Builds the wheel (PEP 517) by meson: the three modules of the limited API and what stands around
them, and nothing else of what meson would install. Needs meson, ninja, a C compiler and the libraries
that tools/setup installs; no other Python package, and no network.

What the modules need beside the C library is linked into them, or where there is no archive that can
be (jansson), copied beside them, where they look first. pip install . -C static=no: neither."""
from __future__ import annotations

import base64
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
METADATA = """Metadata-Version: 2.1
Name: helrm
Version: {version}
Summary: Private predictions of recommendation models, by homomorphic encryption
License: Apache-2.0
Requires-Python: >=3.11
"""


def version() -> str:
    text = (ROOT / "include/helrm/version.h").read_text()
    return ".".join(re.search(rf"#define HELRM_VERSION_{part} (\d+)", text).group(1)
                    for part in ("MAJOR", "MINOR", "PATCH"))


def tag() -> str:
    return f"cp311-abi3-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def build(place: pathlib.Path, static: bool) -> pathlib.Path:
    """The package's directory, built."""
    meson = shutil.which("meson")
    if meson is None:
        raise SystemExit("helrm: meson is missing; tools/setup installs what a build needs")
    # meson builds for the Python that runs it: this one, wherever meson itself lives
    setup = [meson, "setup", str(place / "build"), str(ROOT), "-Dtests=disabled", "-Dserver=disabled",
             "-Dtraining=enabled", "-Dclient=enabled", "-Dpython=enabled",
             f"-Dpython_interpreter={sys.executable}", f"-Dprefer_static={'true' if static else 'false'}"]
    subprocess.run(setup, check=True)
    subprocess.run([meson, "compile", "-C", str(place / "build"), "python"], check=True)
    return place / "build" / "python" / "helrm"


def foreign(module: pathlib.Path) -> list[pathlib.Path]:
    """Libraries beside the C library that a module needs: those without an archive to link."""
    said = subprocess.run(["ldd", str(module)], check=True, capture_output=True, text=True).stdout
    found = re.findall(r"(\S+) => (\S+) \(0x", said)
    return [pathlib.Path(path) for name, path in found
            if not re.match(r"(libc|libm|libpthread|libdl|librt|ld-linux.*)\.so", name)]


def entry(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest},{len(data)}"


def build_wheel(wheel_directory: str, config_settings: dict | None = None,
                metadata_directory: str | None = None) -> str:
    static = (config_settings or {}).get("static", "yes") != "no"
    name = f"helrm-{version()}-{tag()}.whl"
    info = f"helrm-{version()}.dist-info"
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="helrm-wheel-") as place:
        package = build(pathlib.Path(place), static)
        for file in sorted(package.iterdir()):
            if file.suffix == ".so":
                subprocess.run(["strip", "--strip-unneeded", str(file)], check=True)
                if static:
                    files.update({f"helrm/{needed.name}": needed.resolve().read_bytes()
                                  for needed in foreign(file)})
            if file.is_file() and file.suffix in (".py", ".pyi", ".so", ".typed") or file.name == "py.typed":
                files[f"helrm/{file.name}"] = file.read_bytes()
    files[f"{info}/METADATA"] = METADATA.format(version=version()).encode()
    files[f"{info}/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    files[f"{info}/WHEEL"] = (f"Wheel-Version: 1.0\nGenerator: helrm\nRoot-Is-Purelib: false\nTag: {tag()}\n"
                              ).encode()
    record = "".join(f"{path},{entry(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in files.items():
            at = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))  # the same bytes each time
            at.external_attr = (0o755 if path.endswith(".so") else 0o644) << 16
            at.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(at, data)
    return name


def build_sdist(sdist_directory: str, config_settings: dict | None = None) -> str:
    name = f"helrm-{version()}"
    subprocess.run(["git", "-C", str(ROOT), "archive", f"--prefix={name}/", "--format=tar.gz", "-o",
                    os.path.join(os.path.abspath(sdist_directory), f"{name}.tar.gz"), "HEAD"], check=True)
    return f"{name}.tar.gz"
