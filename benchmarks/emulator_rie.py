"""AWS's Runtime Interface Emulator, for comparison: the binary that ships inside the package aws-sam-cli.

It is taken from where ``TAILRACE_RIE`` points to, else from the user's cache, else pip fetches the package once.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-sam-cli==1.170.0"
"""The version whose binary the recordings of the conformance cases were made with."""

_MACHINES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_INSTALL_LIMIT_S = 180


class NoRieError(Exception):
    """There is no binary for this machine, or it could not be fetched."""


def find(*, install: bool = False) -> Path:
    """The binary. Raises `NoRieError` with the reason why there is none."""
    given = os.environ.get("TAILRACE_RIE")
    if given:
        if not os.access(given, os.X_OK):
            raise NoRieError(f"TAILRACE_RIE names {given}, which cannot be run")
        return Path(given)
    machine = _MACHINES.get(platform.machine())
    if machine is None or platform.system() != "Linux":
        raise NoRieError(f"there is no binary for {platform.system()} on {platform.machine()}")
    cached = _cache() / PACKAGE / f"aws-lambda-rie-{machine}"
    if not cached.exists():
        if not install:
            raise NoRieError(f"it is not in {cached.parent}, and TAILRACE_RIE does not name it")
        _install(cached)
    return cached


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tailrace" / "rie"


def _install(target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="tailrace-rie-") as folder:
        _download(Path(folder))
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as package:
            binary = package.read(f"samcli/local/rapid/{target.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(binary)
    unfinished.chmod(0o755)
    unfinished.rename(target)


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    command += ["--retries", "0", "--disable-pip-version-check"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoRieError(f"pip could not fetch {PACKAGE}: {type(error).__name__}") from error
    if done.returncode != 0 or not list(folder.glob("*.whl")):
        raise NoRieError(f"pip could not fetch {PACKAGE}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
