"""Where the same file lies here and in the sandbox: `/var/task` is the code's folder, `/opt` the merged layers,
`/var/runtime` what starts a managed runtime.

A `FunctionConfig` speaks of this machine's paths throughout (`runtime_command`, `runtime_environment`). Where
processes see the sandbox's own folders, `as_seen` turns a text into theirs; `on_host` is the way back, for what
a user wrote as for Lambda.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

CODE = "/var/task"
LAYERS = "/opt"
RUNTIME = "/var/runtime"
RUNTIME_FILES = Path(__file__).with_name("runtime_files")

_BEFORE = r"(?<![^\s:=,;'\"])"
_BEHIND = r"(?=$|[\s/:=,;'\"])"
"""A path is taken for one where it stands by itself, or in a list or option: ``a:/opt/lib``, ``--require=/opt/x``."""


def as_seen(text: str, code_dir: Path, opt_dir: Path | None) -> str:
    """`text` with this machine's folders replaced by the sandbox's."""
    places = {here: seen for seen, here in _places(code_dir, opt_dir).items()}
    return _replace(text, {str(RUNTIME_FILES): RUNTIME, **places})


def on_host(text: str, code_dir: Path, opt_dir: Path | None) -> str:
    """`text` with the sandbox's folders replaced by those that stand for them here."""
    return _replace(text, _places(code_dir, opt_dir))


def _places(code_dir: Path, opt_dir: Path | None) -> dict[str, str]:
    return {CODE: str(code_dir)} | ({LAYERS: str(opt_dir)} if opt_dir else {})


def _replace(text: str, places: Mapping[str, str]) -> str:
    longest_first = sorted(places, key=len, reverse=True)
    pattern = _BEFORE + "(" + "|".join(map(re.escape, longest_first)) + ")" + _BEHIND
    return re.sub(pattern, lambda match: places[match[1]], text)
