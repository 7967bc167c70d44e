from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.emulator_options import write_files, zip_folder
from tailrace.emulator.deployment import archives
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.deployment.code_package import open_code
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.workspace import Workspace
from tailrace.errors import UsageError


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "environments").mkdir()
    with Workspace.create(tmp_path / "environments") as workspace:
        yield workspace


def build(workspace: Workspace, code: Path, handler: str = "app.handler", *layers: Path) -> FunctionConfig:
    return build_function(FunctionOptions(handler, code, layers=layers), workspace)


def test_a_zip_file_is_unpacked_with_its_modes_and_gives_the_function_its_name(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "code", {"app.py": "def handler(e, c): pass\n", "bin/tool": "#!/bin/sh\n"})
    config = build(workspace, zip_folder(folder, tmp_path / "my orders.v2.zip"))
    assert config.name == "my-orders-v2"
    assert config.code_dir.is_relative_to(workspace.path)
    assert stat.S_IMODE((config.code_dir / "bin" / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((config.code_dir / "app.py").stat().st_mode) == 0o644


def test_a_mistake_in_a_zip_file_is_told_by_its_place_there(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_files(tmp_path / "code", {"app.py": "def handle(e, c): pass\n"})
    with pytest.raises(UsageError) as caught:
        build(workspace, zip_folder(folder, tmp_path / "shop.zip"))
    assert str(caught.value).endswith('(did you mean "handle"?); looked in shop.zip/app.py')


def test_a_zip_file_of_the_folder_itself_gets_a_hint_where_the_handler_lies(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path / "outer" / "code", {"app.py": "def handler(e, c): pass\n"})
    with pytest.raises(UsageError, match=r"looked in shop\.zip; --code says"):
        build(workspace, zip_folder(tmp_path / "outer", tmp_path / "shop.zip"))


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "does not exist"), (b"text", "neither a folder nor a zip file"), (b"", "neither a folder nor a zip file")],
)
def test_what_is_no_code_is_named(workspace: Workspace, tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "code.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        open_code(path, workspace)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_an_entry_that_leads_outside_is_refused(workspace: Workspace, tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(UsageError, match="leads outside /var/task"):
        open_code(tmp_path / "code.zip", workspace)
    assert not (workspace.path / "evil").exists()


def test_code_and_layers_together_may_not_be_larger_than_the_service_allows(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 100)
    code = zip_folder(
        write_files(tmp_path / "code", {"app.py": "def handler(e, c): pass\n" + "#" * 36}), tmp_path / "c.zip"
    )
    layer = zip_folder(write_files(tmp_path / "layer", {"data": "x" * 41}), tmp_path / "layer.zip")
    build(workspace, code)
    with Workspace.create(tmp_path / "environments") as another, pytest.raises(UsageError, match="layers are larger"):
        build(another, code, "app.handler", layer)


@pytest.mark.parametrize("damage", [b"PK\x05\x06", b"garbage"])
def test_a_damaged_zip_file_is_named(workspace: Workspace, tmp_path: Path, damage: bytes) -> None:
    folder = write_files(tmp_path / "code", {"app.py": "def handler(e, c): pass\n" * 50})
    path = zip_folder(folder, tmp_path / "code.zip")
    content = path.read_bytes()
    path.write_bytes(content[:40] + damage + content[40 + len(damage) :])
    with pytest.raises(UsageError, match=r"code\.zip cannot be unpacked"):
        open_code(path, workspace)
