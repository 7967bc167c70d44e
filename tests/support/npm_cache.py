"""AWS's client for Node.js, installed by npm once and kept for later runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.built_once import built_once, require_programs, run_or_skip

_NEEDED = {"4": ("cmake", "make", "g++"), "3": ("cmake", "make", "g++", "autoreconf", "libtoolize")}


def installed_client(major: str) -> Path:
    """The folder in which npm has installed that major version. Skips the test where it cannot."""
    what = f"building AWS's client for Node.js, version {major},"
    require_programs(what, "node", "npm", *_NEEDED[major])
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def build(folder: Path) -> None:
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"aws-lambda-ric@{major}"]
        run_or_skip(what, command, folder)

    return built_once(f"aws-lambda-ric-{major}-node-{version}", build)
