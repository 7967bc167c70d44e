"""The unpacked layer: built once, whole or not there, safe with many at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tailrace.errors import ConfigError
from tailrace.packaging.cache import KEPT, UNUSED_S, cache_folder, content_key, plain_layer, prune, usable_cache_folder
from tailrace.packaging.interpreters import Interpreter


def no_interpreters() -> tuple[Interpreter, ...]:
    return ()


def must_not_be_asked() -> tuple[Interpreter, ...]:
    raise AssertionError("the layer was built again")


def test_the_folder_holds_an_executable_launcher_with_the_code_beside_it(tmp_path: Path) -> None:
    layer = plain_layer(no_interpreters, tmp_path)
    assert os.access(layer / "extensions" / "tailrace", os.X_OK)
    assert (layer / "tailrace" / "tailrace" / "agent" / "start.py").is_file()


def test_the_second_time_nothing_is_built(tmp_path: Path) -> None:
    first = plain_layer(no_interpreters, tmp_path)
    assert plain_layer(must_not_be_asked, tmp_path) == first


def test_many_at_once_agree_and_leave_nothing_behind(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda _: plain_layer(no_interpreters, tmp_path), range(8)))
    assert len(set(places)) == 1
    assert list(tmp_path.iterdir()) == [places[0]]


def test_layers_of_old_are_removed_but_for_the_latest_and_the_lately_used(tmp_path: Path) -> None:
    now_s = 1_800_000_000.0
    ages_s = {f"layer-{n}": n * UNUSED_S / 4 for n in range(9)} | {".layer-new": 60.0, ".layer-killed": 2 * UNUSED_S}
    for name, age_s in ages_s.items():
        (tmp_path / name / "extensions").mkdir(parents=True)
        os.utime(tmp_path / name, (now_s - age_s, now_s - age_s))
    (tmp_path / "something-else").mkdir()
    prune(tmp_path, tmp_path / "layer-8", now_s)
    kept = {"layer-0", "layer-1", "layer-2", "layer-3", "layer-4", "layer-8", ".layer-new", "something-else"}
    assert {path.name for path in tmp_path.iterdir()} == kept
    prune(tmp_path, tmp_path / "layer-0", now_s + 100 * UNUSED_S)
    assert {path.name for path in tmp_path.glob("layer-*")} == {f"layer-{n}" for n in range(KEPT)}


def test_a_layer_that_is_asked_for_again_counts_as_used(tmp_path: Path) -> None:
    place = plain_layer(no_interpreters, tmp_path)
    os.utime(place, (0, 0))
    plain_layer(must_not_be_asked, tmp_path)
    assert place.stat().st_mtime > UNUSED_S


def test_the_key_changes_with_a_source_and_with_an_interpreter(tmp_path: Path) -> None:
    program = tmp_path / "python3.13"
    program.write_bytes(b"one")
    keys = {
        content_key({"a.py": b"1"}, []),
        content_key({"a.py": b"2"}, []),
        content_key({"a.py": b"1"}, [program]),
        content_key({"a.p": b"y1"}, []),
    }
    assert len(keys) == 4


def test_the_cache_is_where_the_base_directory_specification_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tailrace"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "tailrace"


def test_a_cache_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"cannot keep the layer in .*; set XDG_CACHE_HOME"):
        plain_layer(no_interpreters, tmp_path / "file" / "cache")


def test_without_a_home_that_can_be_written_the_layer_is_kept_in_a_private_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")

    folder = usable_cache_folder()

    assert folder.is_relative_to(tmp_path)
    assert folder.parent.stat().st_mode & 0o077 == 0
    assert (plain_layer(no_interpreters, folder) / "extensions" / "tailrace").is_file()
