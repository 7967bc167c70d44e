from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.emulator_runs import executable
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.deployment.code_package import function_name
from tailrace.emulator.deployment.interpreter import find_interpreter
from tailrace.emulator.deployment.python_runtime import START_SCRIPT
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.workspace import Workspace
from tailrace.errors import UsageError


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "environments").mkdir()
    with Workspace.create(tmp_path / "environments") as workspace:
        yield workspace


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "orders"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context): pass\n")
    return folder


def test_the_defaults_are_lambdas(workspace: Workspace, code: Path) -> None:
    config = build_function(FunctionOptions("app.handler", code), workspace)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert config.name == "orders"
    assert (config.timeout_s, config.memory_mb, config.region) == (3.0, 128, "us-east-1")
    assert config.runtime_command == (sys.executable, str(START_SCRIPT))
    assert config.execution_env == f"AWS_Lambda_python{version}"
    assert config.runtime_name == f"python{version}"
    assert config.arn == "arn:aws:lambda:us-east-1:123456789012:function:orders"
    assert config.extensions == ()
    assert config.opt_dir is None
    assert config.log_format == "Text"


def test_paths_may_be_relative_to_the_current_folder(
    workspace: Workspace, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(code)
    assert build_function(FunctionOptions("app.handler"), workspace).code_dir == code
    assert build_function(FunctionOptions("app.handler"), workspace).name == "orders"
    monkeypatch.chdir(code.parent)
    executable(code / "ext", "#!/bin/sh\n")
    config = build_function(FunctionOptions("app.handler", Path("orders"), extensions=[Path("orders/ext")]), workspace)
    assert config.extensions[0].path == code / "ext"


@pytest.mark.parametrize(
    ("folder", "name"), [("orders", "orders"), ("my code (1)", "my-code-1"), ("…", "function"), ("x" * 80, "x" * 64)]
)
def test_the_functions_name_is_the_folders_as_far_as_it_may(folder: str, name: str) -> None:
    assert function_name(Path("/some") / folder) == name


def test_extensions_of_layers_come_sorted_then_the_single_ones(
    workspace: Workspace, code: Path, tmp_path: Path
) -> None:
    layer = tmp_path / "layer"
    for name in ("zeta", "alpha"):
        executable(layer / "extensions" / name, "#!/bin/sh\n")
    (layer / "extensions" / "folder").mkdir()
    single = executable(tmp_path / "single", "#!/bin/sh\n")
    config = build_function(FunctionOptions("app.handler", code, layers=[layer], extensions=[single]), workspace)
    assert [extension.name for extension in config.extensions] == ["alpha", "zeta", "single"]
    assert config.extensions[0].path == workspace.opt_dir / "extensions" / "alpha"
    assert config.runtime_environment["_TAILRACE_LAYER_FOLDERS"].endswith(f":{workspace.opt_dir}/python")


def refusal(options: FunctionOptions, workspace: Workspace) -> str:
    with pytest.raises(UsageError) as caught:
        build_function(options, workspace)
    return str(caught.value)


def test_every_mistake_with_an_extension_is_named(workspace: Workspace, code: Path, tmp_path: Path) -> None:
    def said(*paths: Path) -> str:
        return refusal(FunctionOptions("app.handler", code, extensions=paths), workspace)

    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    twins = [executable(tmp_path / side / "twin", "#!/bin/sh\n") for side in ("a", "b")]
    assert f"the extension {tmp_path}/none does not exist" in said(tmp_path / "none")
    assert f"the extension {plain} is not executable; chmod +x plain" in said(plain)
    assert "is a folder" in said(tmp_path)
    assert f'{twins[0]} and {twins[1]} are both named "twin"' in said(*twins)


def test_what_is_not_executable_in_a_layer_is_passed_over_and_named(
    workspace: Workspace, code: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "layer" / "extensions"
    executable(folder / "agent", "#!/bin/sh\n")
    (folder / "notes.txt").write_text("x")

    config = build_function(FunctionOptions("app.handler", code, layers=[tmp_path / "layer"]), workspace)

    assert [extension.name for extension in config.extensions] == ["agent"]
    assert config.passed_over == ("notes.txt",)


def test_every_mistake_with_a_bootstrap_is_named(workspace: Workspace, code: Path) -> None:
    (code / "bootstrap").write_text("#!/bin/sh\n")
    assert "bootstrap is not executable" in refusal(FunctionOptions("x", code, bootstrap=code / "bootstrap"), workspace)
    assert "does not exist" in refusal(FunctionOptions("x", code, bootstrap=code / "none"), workspace)
    assert "is not a file" in refusal(FunctionOptions("x", code, bootstrap=code), workspace)


def test_a_bootstrap_needs_no_python_handler_and_has_no_execution_environment(workspace: Workspace, code: Path) -> None:
    path = executable(code / "bootstrap", "#!/bin/sh\n")
    config = build_function(FunctionOptions("anything at all", code, bootstrap=path), workspace)
    assert config.runtime_command == (str(path),)
    assert config.execution_env == ""
    assert config.handler == "anything at all"


def test_a_wrong_code_folder_is_named(workspace: Workspace, code: Path) -> None:
    assert "--code: " in refusal(FunctionOptions("app.handler", code / "none"), workspace)
    assert "neither a folder nor a zip file" in refusal(FunctionOptions("app.handler", code / "app.py"), workspace)


def test_wrong_handlers_and_variables_are_refused(workspace: Workspace, code: Path) -> None:
    assert 'did you mean "handler"?' in refusal(FunctionOptions("app.handle", code), workspace)
    assert "_HANDLER is reserved" in refusal(
        FunctionOptions("app.handler", code, variables={"_HANDLER": "x"}), workspace
    )


def test_a_customers_python_path_is_searched_in_place_of_the_layers(
    workspace: Workspace, code: Path, tmp_path: Path
) -> None:
    (code / "vendor").mkdir()
    (code / "vendor" / "wrapped.py").write_text("def handler(e, c): pass\n")
    in_layer = tmp_path / "layer" / "python"
    in_layer.mkdir(parents=True)
    (in_layer / "packed.py").write_text("def handler(e, c): pass\n")

    def config(handler: str, python_path: str) -> FunctionConfig:
        options = FunctionOptions(handler, code, layers=[in_layer.parent], variables={"PYTHONPATH": python_path})
        return build_function(options, workspace)

    assert "PYTHONPATH" not in config("wrapped.handler", "vendor").runtime_environment
    assert config("packed.handler", "x:/opt/python").runtime_environment["PYTHONPATH"] == (
        f"x:{workspace.opt_dir}/python"
    )
    with pytest.raises(UsageError, match='no module "packed"'):
        config("packed.handler", "vendor")


def test_an_installed_package_may_be_the_handlers_module(workspace: Workspace, code: Path) -> None:
    build_function(FunctionOptions("click.testing.Result", code), workspace)


def test_another_interpreter_is_asked_for_its_version_and_its_runtime_client(
    workspace: Workspace, code: Path, tmp_path: Path
) -> None:
    fake = executable(tmp_path / "python3.99", "#!/bin/sh\necho 3.99 1\n")
    config = build_function(FunctionOptions("app.handler", code, python=fake), workspace)
    assert config.runtime_command[0] == str(fake)
    assert config.execution_env == "AWS_Lambda_python3.99"


def test_an_interpreter_without_the_runtime_client_is_told_how_to_get_it(
    workspace: Workspace, code: Path, tmp_path: Path
) -> None:
    bare = executable(tmp_path / "python", "#!/bin/sh\necho 3.12 0\n")
    said = refusal(FunctionOptions("app.handler", code, python=bare), workspace)
    assert f"{bare} -m pip install awslambdaric" in said
    (code / "awslambdaric").mkdir()
    (code / "awslambdaric" / "__init__.py").touch()
    build_function(FunctionOptions("app.handler", code, python=bare), workspace)


@pytest.mark.parametrize(("script", "words"), [("exit 1", "does not work"), ("echo what", "does not work")])
def test_what_is_no_interpreter_is_said_so(
    workspace: Workspace, code: Path, tmp_path: Path, script: str, words: str
) -> None:
    path = executable(tmp_path / "python", f"#!/bin/sh\n{script}\n")
    assert words in refusal(FunctionOptions("app.handler", code, python=path), workspace)
    assert "is not an executable file" in refusal(
        FunctionOptions("app.handler", code, python=tmp_path / "none"), workspace
    )


def test_a_real_other_interpreter_works(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    found = find_interpreter(tmp_path / "venv" / "bin" / "python")
    assert found.version == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert not found.has_runtime_client
    assert not found.is_ours
