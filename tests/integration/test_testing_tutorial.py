"""The tutorial is executed: its files are written, its commands run, and its output is what comes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "test-an-extension.md"
BLOCK = re.compile(r"^```(\w+) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what the page tells to type, with this interpreter's programs first."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    variables["PYTEST_ADDOPTS"] = "-p no:hypothesispytest"  # not its users' business, and half a second a run
    variables["PYTEST_DEBUG_TEMPROOT"] = str(folder)  # else each run clears away what other runs have left
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    command = f"set -e\n{command}"
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, env=variables, capture_output=True, text=True, timeout=60
    )


def missing_lines(shown: str, output: str) -> list[str]:
    """The lines of the page that do not occur in the output, in the page's order; `…` stands for anything."""
    missing, rest = [], output
    for line in shown.splitlines():
        found = re.search(".*".join(map(re.escape, line.split("…"))), rest)
        if found is None:
            missing.append(line)
        else:
            rest = rest[found.end() :]
    return missing


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    output, commands, shown = "", 0, 0
    for kind, options, text in BLOCK.findall(PAGE.read_text()):
        if kind == "sh":
            done = shell(text, tmp_path)
            output = done.stdout + done.stderr
            commands += 1
            assert done.returncode == int(options.removeprefix("exit=") or 0), output
        elif kind == "text":
            shown += 1
            assert missing_lines(text, output) == [], output
        else:
            path = tmp_path / options.removeprefix("file=")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    assert (commands, shown) == (7, 6)


def test_the_extension_of_the_tutorial_has_ten_lines_below_its_first() -> None:
    (source,) = [text for _, options, text in BLOCK.findall(PAGE.read_text()) if options == "file=extensions/counter"]

    assert source.startswith("#!")
    assert len(source.splitlines()) == 1 + 10
