"""AWS's client for Node.js, installed by npm once and kept for later runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_INSTALL_LIMIT_S = 500
_NEEDED = {"4": ("cmake", "make", "g++"), "3": ("cmake", "make", "g++", "autoreconf", "libtoolize")}


def installed_client(major: str) -> Path:
    """The folder in which npm has installed that major version. Skips the test where it cannot."""
    missing = [program for program in ("node", "npm", *_NEEDED[major]) if shutil.which(program) is None]
    if missing:
        pytest.skip(f"building AWS's client for Node.js, version {major}, needs {', '.join(missing)}")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tailrace-tests"
    folder = cache / f"aws-lambda-ric-{major}-node-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(major, folder)
    return folder


def _install(major: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="installing-", dir=folder.parent) as fresh:
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", fresh, f"aws-lambda-ric@{major}"]
        try:
            result = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install AWS's client within {_INSTALL_LIMIT_S} s")
        if result.returncode != 0:
            errors = [line for line in result.stderr.splitlines() if line.startswith("npm error")]
            pytest.skip(f"npm cannot install AWS's client here: {'; '.join(errors[:3])}")
        Path(fresh).rename(folder)
        Path(fresh).mkdir()  # for the clean-up
