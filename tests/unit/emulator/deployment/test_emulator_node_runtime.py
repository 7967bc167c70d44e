from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.emulator_options import write_files, zip_folder
from support.emulator_runs import executable
from support.node_clients import fake_client
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.deployment.node_runtime import START_SCRIPT
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.workspace import Workspace
from tailrace.errors import UsageError


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "environments").mkdir()
    with Workspace.create(tmp_path / "environments") as workspace:
        yield workspace


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """What stands on PATH as Node.js; its npm installs nothing anywhere."""
    executable(tmp_path / "bin" / "npm", f"#!/bin/sh\necho {tmp_path}/npm-global\n")
    return executable(tmp_path / "bin" / "node", "#!/bin/sh\necho v22.11.0\n")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return write_files(tmp_path / "project" / "shop", {"index.js": "exports.handler = async () => {};\n"})


def build(workspace: Workspace, code: Path, node: Path, handler: str = "index.handler", **more: Any) -> FunctionConfig:
    host = {"PATH": f"{node.parent}:/usr/bin:/bin", **more.pop("host", {})}
    return build_function(FunctionOptions(handler, code, **more), workspace, host)


def refusal(workspace: Workspace, code: Path, node: Path, handler: str = "index.handler", **more: Any) -> str:
    with pytest.raises(UsageError) as caught:
        build(workspace, code, node, handler, **more)
    return str(caught.value)


def test_node_is_started_as_on_lambda(workspace: Workspace, code: Path, node: Path) -> None:
    client = fake_client(code / "node_modules")
    config = build(workspace, code, node, memory_mb=1024)
    assert config.runtime_command == (
        str(node),
        "--expose-gc",
        "--max-http-header-size",
        "81920",
        "--max-semi-space-size=51",
        "--max-old-space-size=922",
        str(START_SCRIPT),
    )
    assert (config.runtime_name, config.execution_env) == ("nodejs22.x", "AWS_Lambda_nodejs22.x")
    assert config.runtime_environment == {
        "_TAILRACE_NODE_CLIENT": str(client / "index.mjs"),
        "NODE_PATH": f"/opt/nodejs/node22/node_modules:/opt/nodejs/node_modules:"
        f"/var/runtime/node_modules:/var/runtime:{code}",
    }
    assert client in config.runtime_files


def test_the_search_path_leads_to_layers_and_the_customers_stands_in_its_place(
    workspace: Workspace, code: Path, node: Path, tmp_path: Path
) -> None:
    layer = write_files(tmp_path / "layer", {"nodejs/x": ""})
    fake_client(layer / "nodejs" / "node_modules")
    path = build(workspace, code, node, layers=[layer]).runtime_environment["NODE_PATH"]
    opt = workspace.opt_dir
    assert path.startswith(f"{opt}/nodejs/node22/node_modules:{opt}/nodejs/node_modules:")
    given = {"NODE_PATH": "/opt/nodejs/node_modules:/var/task/lib", "NODE_OPTIONS": "--require /opt/hook.js"}
    config = build(workspace, code, node, layers=[layer], variables=given)
    assert config.runtime_environment["NODE_PATH"] == f"{opt}/nodejs/node_modules:{code}/lib"
    assert config.runtime_environment["NODE_OPTIONS"] == f"--require {opt}/hook.js"


def client_of(config: FunctionConfig) -> str:
    return config.runtime_environment["_TAILRACE_NODE_CLIENT"]


def test_the_client_is_looked_for_from_near_to_far(
    workspace: Workspace, code: Path, node: Path, tmp_path: Path
) -> None:
    places = {
        "npm": tmp_path / "npm-global",
        "beside node": tmp_path / "lib" / "node_modules",
        "NODE_PATH": tmp_path / "node-path",
        "layer": tmp_path / "layer" / "nodejs" / "node_modules",
        "project": code.parent / "node_modules",
        "code": code / "node_modules",
        "given": tmp_path / "given",
    }
    layer = write_files(tmp_path / "layer", {"nodejs/x": ""})
    host = {"NODE_PATH": f"relative:{places['NODE_PATH']}"}
    for place, folder in places.items():
        fake_client(folder)
        given = tmp_path / "given" if place == "given" else None
        found = client_of(build(workspace, code, node, layers=[layer], host=host, node_client=given))
        expected = workspace.opt_dir / "nodejs" / "node_modules" if place == "layer" else folder
        assert found == f"{expected}/aws-lambda-ric/index.mjs"


def test_a_named_client_may_be_the_package_its_folder_or_a_project(
    workspace: Workspace, code: Path, node: Path, tmp_path: Path
) -> None:
    package = fake_client(tmp_path / "elsewhere" / "node_modules", "3.3.0")
    for given in (package, package.parent, package.parent.parent):
        assert client_of(build(workspace, code, node, node_client=given)) == f"{package}/bin/index.mjs"
    said = refusal(workspace, code, node, node_client=tmp_path / "none")
    assert f"--node-client: there is no aws-lambda-ric in {tmp_path}/none; npm install aws-lambda-ric" in said


def test_a_missing_client_is_told_with_the_places_and_the_way_to_get_it(
    workspace: Workspace, code: Path, node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(code)
    said = refusal(workspace, code, node)
    assert "is not installed (looked in node_modules, ../node_modules," in said
    assert f"{tmp_path}/npm-global)" in said
    assert "npm install aws-lambda-ric in the function's folder" in said


def test_a_client_whose_native_part_was_not_built_is_told(workspace: Workspace, code: Path, node: Path) -> None:
    fake_client(code / "node_modules", native=False)
    assert "its native part was not built" in refusal(workspace, code, node)


def test_a_client_of_the_zip_file_is_found_there_and_not_around_it(
    workspace: Workspace, code: Path, node: Path
) -> None:
    fake_client(workspace.path / "node_modules")  # above what is unpacked
    archive = zip_folder(code, code.parent / "shop.zip")
    assert "is not installed" in refusal(workspace, archive, node)


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        ("index", "has not the form of a handler; a Node.js handler is file.function"),
        ("../index.handler", "has not the form"),
        ("src/", "has not the form"),
        (".handler", "has not the form"),
        ("indx.handler", 'none of indx.js, indx.mjs, indx.cjs (did you mean "index"?); looked in'),
        ("typed.handler", "there is typed.ts, but none of typed.js, typed.mjs, typed.cjs; compile it first"),
    ],
)
def test_a_handler_without_a_file_is_named(
    workspace: Workspace, code: Path, node: Path, handler: str, words: str
) -> None:
    fake_client(code / "node_modules")
    (code / "typed.ts").touch()
    assert words in refusal(workspace, code, node, handler, runtime="nodejs")


@pytest.mark.parametrize("handler", ["index.handler", "index.a.b", "sub/index.handler", "vendor/start.handler"])
def test_whatever_may_be_a_handler_passes(workspace: Workspace, code: Path, node: Path, handler: str) -> None:
    fake_client(code / "node_modules")
    write_files(code, {"sub/index.mjs": "", "node_modules/vendor/start/index.js": ""})
    build(workspace, code, node, handler, runtime="nodejs")


def test_a_handler_in_a_layer_is_named_as_on_lambda(
    workspace: Workspace, code: Path, node: Path, tmp_path: Path
) -> None:
    fake_client(code / "node_modules")
    layer = write_files(tmp_path / "layer", {"nodejs/node_modules/vendor/handler.mjs": ""})
    handler = "/opt/nodejs/node_modules/vendor/handler.handler"
    config = build(workspace, code, node, handler, runtime="nodejs", layers=[layer])
    assert config.handler == handler
    assert config.runtime_environment["_HANDLER"] == f"{workspace.opt_dir}{handler.removeprefix('/opt')}"


def test_what_is_no_node_is_said_so(workspace: Workspace, code: Path, node: Path, tmp_path: Path) -> None:
    said = refusal(workspace, code, tmp_path / "empty" / "node", host={"PATH": str(tmp_path / "empty")})
    assert "Node.js is not on PATH; install it, or give its path by --node" in said

    def said_of(given: Path) -> str:
        with pytest.raises(UsageError) as caught:
            build_function(FunctionOptions("index.handler", code, node=given), workspace)
        return str(caught.value)

    assert "is not an executable file" in said_of(tmp_path / "none")
    assert "does not work as Node.js" in said_of(executable(tmp_path / "broken", "#!/bin/sh\nexit 1\n"))
    assert "does not say a version" in said_of(executable(tmp_path / "silent", "#!/bin/sh\necho hello\n"))


def test_a_wrapper_is_given_the_interpreter_first_and_the_script_last(
    workspace: Workspace, code: Path, node: Path
) -> None:
    fake_client(code / "node_modules")
    config = build(workspace, code, node, variables={"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/start"})
    shell, wrapper = config.runtime_command[:2], config.runtime_command[4:6]
    assert shell == ("/bin/sh", "-c")
    assert wrapper == (f"{code}/start", "/var/task/start")
    assert config.runtime_command[6] == str(node)
    assert config.runtime_command[-1] == str(START_SCRIPT)
