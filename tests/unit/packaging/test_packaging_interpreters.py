"""Interpreters are believed only when they have answered."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tailrace.errors import UsageError
from tailrace.packaging import interpreters

HERE = f"python{sys.version_info[0]}.{sys.version_info[1]}"
OTHER = next(runtime for runtime in interpreters.SUPPORTED if runtime != HERE)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_running_interpreter_is_found_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = interpreters.find(HERE)
    assert found is not None
    assert found.runtime == HERE
    assert found.path == Path(sys.executable)


def test_a_shim_without_its_version_is_skipped_and_the_next_match_on_path_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shims").mkdir()
    (tmp_path / "bin").mkdir()
    script(tmp_path / "shims" / OTHER, "echo no such version >&2; exit 127")
    script(tmp_path / "bin" / OTHER, f"echo {OTHER}; echo {sys.executable}")
    monkeypatch.setenv("PATH", f"{tmp_path}/shims:{tmp_path}/bin")
    found = interpreters.find(OTHER)
    assert found == interpreters.Interpreter(OTHER, Path(sys.executable))


def test_one_that_turns_out_to_be_another_version_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / OTHER, f"echo python3.6; echo {sys.executable}")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreters.find(OTHER) is None


def test_a_named_runtime_that_is_not_here_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match=f"no working {OTHER} was found on PATH; install it"):
        interpreters.named([HERE, OTHER])


def test_a_named_runtime_that_the_layer_does_not_know_is_refused_with_those_it_does() -> None:
    with pytest.raises(UsageError, match=r"'python3\.9' is not a runtime of this layer; one of python3\.11, "):
        interpreters.named(["python3.9"])


def test_naming_a_runtime_twice_gives_it_once() -> None:
    assert [found.runtime for found in interpreters.named([HERE, HERE])] == [HERE]


def test_a_folder_of_path_that_may_not_be_searched_holds_no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setenv("PATH", "/nowhere/private")
    monkeypatch.setattr(Path, "is_file", refused)

    assert list(interpreters.candidates("python3.98")) == []
