"""The one operating system that the emulator knows."""

from __future__ import annotations

import sys

from tailrace.errors import EnvironmentStartError


def require_linux(platform: str = sys.platform) -> None:
    """Raises `EnvironmentStartError` elsewhere. Ask before importing the rest, which needs Linux's own modules."""
    if platform != "linux":
        raise EnvironmentStartError(f"the local execution environment needs Linux; this system is {platform}")
