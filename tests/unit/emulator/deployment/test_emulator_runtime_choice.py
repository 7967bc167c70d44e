from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.emulator_options import write_files
from support.emulator_runs import executable
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.deployment.code_package import CodePackage
from tailrace.emulator.deployment.runtime_choice import choose_runtime
from tailrace.emulator.workspace import Workspace
from tailrace.errors import UsageError

PY = "def handler(e, c): pass\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "environments").mkdir()
    with Workspace.create(tmp_path / "environments") as workspace:
        yield workspace


def chosen(tmp_path: Path, files: Mapping[str, str], handler: str, opt_dir: Path | None = None) -> str:
    folder = write_files(tmp_path / "code", files)
    return choose_runtime("auto", handler, CodePackage(folder, folder), opt_dir)


@pytest.mark.parametrize(
    ("files", "handler", "runtime"),
    [
        ({"app.py": PY}, "app.handler", "python"),
        ({"app/__init__.py": PY}, "app.handler", "python"),
        ({"index.js": ""}, "index.handler", "nodejs"),
        ({"index.mjs": ""}, "index.handler", "nodejs"),
        ({"src/index.cjs": ""}, "src/index.handler", "nodejs"),
        ({"index.js": ""}, "index.deep.er", "nodejs"),
        ({"app.py": PY, "index.js": ""}, "app.handler", "python"),
        ({"app.py": PY, "index.js": ""}, "index.handler", "nodejs"),
        ({"app.py": PY, "app.js": ""}, "app.handler", "python"),
        ({"bootstrap": "#!/bin/sh\n", "app.py": PY}, "app.handler", "provided"),
        ({"bootstrap": "not executable", "app.py": PY}, "app.handler", "python"),
        ({"bootstrap": "not executable"}, "anything", "provided"),
        ({"bootstrap/inside": "a folder", "app.py": PY}, "app.handler", "python"),
        ({"index.js": ""}, "indx.handler", "nodejs"),
        ({"index.ts": ""}, "index.handler", "nodejs"),
        ({"index.js": "", "x.py": ""}, "indx.handler", "python"),
        ({}, "app.handler", "python"),
        ({}, "no/such/folder/app.handler", "python"),
        ({}, "", "python"),
    ],
)
def test_what_the_files_say(tmp_path: Path, files: Mapping[str, str], handler: str, runtime: str) -> None:
    assert chosen(tmp_path, files, handler) == runtime


def test_a_bootstrap_of_a_layer_is_one_too_and_the_codes_comes_first(tmp_path: Path, workspace: Workspace) -> None:
    layer = write_files(tmp_path / "layer", {"bootstrap": "#!/bin/sh\n"})
    code = write_files(tmp_path / "code", {"app.py": PY})
    config = build_function(FunctionOptions("app.handler", code, layers=[layer]), workspace)
    assert config.runtime_command == (str(workspace.opt_dir / "bootstrap"),)
    own = executable(code / "bootstrap", "#!/bin/sh\n")
    config = build_function(FunctionOptions("app.handler", code, layers=[layer]), workspace)
    assert config.runtime_command == (str(own),)
    assert config.runtime_name == "provided.al2023"


def test_what_is_asked_for_comes_before_what_the_files_say(tmp_path: Path, workspace: Workspace) -> None:
    code = write_files(tmp_path / "code", {"app.py": PY, "bootstrap": "#!/bin/sh\n"})
    config = build_function(FunctionOptions("app.handler", code, runtime="python"), workspace)
    assert config.runtime_name.startswith("python3.")


def refusal(options: FunctionOptions, workspace: Workspace) -> str:
    with pytest.raises(UsageError) as caught:
        build_function(options, workspace)
    return str(caught.value)


def test_mistakes_are_named_with_what_was_looked_for(tmp_path: Path, workspace: Workspace) -> None:
    code = write_files(tmp_path / "code", {"app.py": PY})
    bootstrap = executable(tmp_path / "bootstrap", "#!/bin/sh\n")
    assert "no file named bootstrap (looked in" in refusal(FunctionOptions("x", code, runtime="provided"), workspace)
    layer = write_files(tmp_path / "layer", {"data": ""})
    said = refusal(FunctionOptions("x", code, runtime="provided", layers=[layer]), workspace)
    assert "and in the layers)" in said
    said = refusal(FunctionOptions("app.handler", code, runtime="python", bootstrap=bootstrap), workspace)
    assert "--bootstrap is a runtime of its own, and --runtime says python" in said
    said = refusal(FunctionOptions("app.handler", code, runtime="ruby"), workspace)
    assert '"ruby" is not a runtime; one of auto, python, nodejs, provided' in said
    (code / "bootstrap").write_text("no mode")
    said = refusal(FunctionOptions("x", code, runtime="provided"), workspace)
    assert "is not executable; chmod +x it" in said


def test_more_layers_than_lambda_allows_are_merged_with_a_warning(tmp_path: Path, workspace: Workspace) -> None:
    code = write_files(tmp_path / "code", {"app.py": PY})
    layers = [write_files(tmp_path / f"layer-{number}", {f"file-{number}": ""}) for number in range(6)]
    assert build_function(FunctionOptions("app.handler", code, layers=layers[:5]), workspace).warnings == ()
    config = build_function(FunctionOptions("app.handler", code, layers=layers), workspace)
    assert config.warnings == ("6 layers are merged; Lambda allows 5",)
    assert (workspace.opt_dir / "file-5").exists()
