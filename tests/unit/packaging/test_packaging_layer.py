"""The layer: what is in it, that nothing of the builder's machine is, and that it is the same every time."""

from __future__ import annotations

import ast
import marshal
import os
import subprocess
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import tailrace
from support.agent_process import RUNNING
from tailrace.errors import ConfigError, UsageError
from tailrace.packaging.interpreters import SUPPORTED, Interpreter
from tailrace.packaging.layer import EXTENSION, agent_sources, build_layer, layer_content

PACKAGE = Path(tailrace.__file__).parent
START = "tailrace.agent.start"

BUILD = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[2], 8))
from tailrace.packaging.interpreters import Interpreter
from tailrace.packaging.layer import build_layer
build_layer(Path(sys.argv[1]), [Interpreter(sys.argv[3], Path(sys.executable))])
"""


@pytest.fixture(scope="module")
def content() -> dict[str, bytes]:
    return layer_content([RUNNING])


def module_names(names: Iterator[str]) -> set[str]:
    """Dotted names of the sources among the files of the layer."""
    modules = set()
    for name in names:
        if name.startswith("tailrace/") and name.endswith(".py"):
            parts = name.removesuffix(".py").split("/")
            modules.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return modules


def file_of(module: str) -> Path | None:
    path = PACKAGE.parent.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def imports_of(file: Path) -> Iterator[str]:
    """Every module of ours that `file` may import when it runs, in functions too."""
    tree = ast.parse(file.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reachable(module: str) -> set[str]:
    """`module`, all it may import of ours, and the packages that they lie in."""
    found: set[str] = set()
    open_ends = [module]
    while open_ends:
        name = open_ends.pop()
        file = file_of(name)
        if name in found or not name.startswith("tailrace") or file is None:
            continue
        found.add(name)
        open_ends += [name.rpartition(".")[0], *imports_of(file)]
    return found


def test_the_layer_holds_every_module_that_the_agent_can_reach_and_no_other() -> None:
    included = module_names(iter(agent_sources()))
    assert included - {START} == reachable(START) - {START}


def test_the_layer_has_the_launcher_and_the_code_beside_it(content: dict[str, bytes]) -> None:
    assert content[EXTENSION].startswith(b"#!/bin/sh\n")
    assert {name.split("/")[0] for name in content} == {"extensions", "tailrace"}
    assert "tailrace/tailrace/agent/start.py" in content


def test_every_source_has_its_bytecode(content: dict[str, bytes]) -> None:
    for name in content:
        if name.endswith(".py"):
            folder, _, file = name.rpartition("/")
            assert f"{folder}/__pycache__/{file[:-3]}.{sys.implementation.cache_tag}.pyc" in content


def code_objects(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


def test_bytecode_is_never_checked_against_the_source_and_names_its_place_on_lambda(content: dict[str, bytes]) -> None:
    for name, data in content.items():
        if not name.endswith(".pyc"):
            continue
        assert int.from_bytes(data[4:8], "little") == 0b01, name
        for code in code_objects(marshal.loads(data[16:])):
            assert code.co_filename.startswith("/opt/tailrace/tailrace/"), code.co_filename
            assert code.co_filename.endswith(".py")


def test_nothing_of_the_builders_machine_stands_in_the_layer(content: dict[str, bytes]) -> None:
    places = [str(PACKAGE), str(Path.cwd()), sys.prefix, str(Path.home())]
    for name, data in content.items():
        for place in places:
            assert place.encode() not in data, (name, place)


def test_the_same_input_gives_the_same_bytes_whatever_the_surroundings(tmp_path: Path) -> None:
    builds = []
    surroundings = [
        ("022", "UTC", "0", "a"),
        ("077", "Pacific/Chatham", "1234", "b/deeper"),
        ("000", "", "random", "c"),
    ]
    for umask, zone, seed, folder in surroundings:
        cwd = tmp_path / folder
        cwd.mkdir(parents=True)
        subprocess.run(
            [sys.executable, "-c", BUILD, "layer.zip", umask, f"python{sys.version_info[0]}.{sys.version_info[1]}"],
            cwd=cwd,
            env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "COVERAGE_PROCESS_START": ""},
            check=True,
            timeout=60,
        )
        builds.append((cwd / "layer.zip").read_bytes())
    assert builds[0] == builds[1] == builds[2]


def test_entries_are_sorted_dated_alike_and_have_fixed_modes(tmp_path: Path) -> None:
    build_layer(tmp_path / "layer.zip", [])
    with zipfile.ZipFile(tmp_path / "layer.zip") as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.create_system for entry in entries} == {3}
    modes = {entry.filename: entry.external_attr >> 16 for entry in entries}
    assert modes.pop(EXTENSION) == 0o100755
    assert set(modes.values()) == {0o100644}


def test_the_report_says_sizes_and_what_is_covered(tmp_path: Path) -> None:
    report = build_layer(tmp_path / "layer.zip", [RUNNING])
    assert report.zipped_bytes == (tmp_path / "layer.zip").stat().st_size
    with zipfile.ZipFile(report.path) as archive:
        assert report.unzipped_bytes == sum(entry.file_size for entry in archive.infolist())
    assert report.runtimes == (RUNNING.runtime,)
    assert set(report.uncovered) == set(SUPPORTED) - {RUNNING.runtime}
    text = " ".join(report.sentences())
    assert f"Bytecode is included for {RUNNING.runtime}." in text
    assert "self-contained form" in text


def test_an_output_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*/missing/layer\.zip: No such file"):
        build_layer(tmp_path / "missing" / "layer.zip", [])


def test_a_failed_build_leaves_no_file_and_says_which_interpreter(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"python3\.13: /bin/false cannot compile the agent"):
        build_layer(tmp_path / "layer.zip", [Interpreter("python3.13", Path("/bin/false"))])
    assert list(tmp_path.iterdir()) == []
