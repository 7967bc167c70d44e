from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from support.emulator_async import run
from support.emulator_extensions import shell_runtime
from support.emulator_options import running, write_files, zip_folder
from support.emulator_runs import Story, invoke
from support.namespaces import needs_namespaces
from tailrace.emulator.deployment.build import FunctionOptions
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.errors import EnvironmentStartError


@pytest.fixture(params=["process", "auto"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Plain processes, and the best that this machine allows."""
    return Place(tmp_path, request.param)


@dataclass
class Place:
    """Where a test keeps its files, and how the function is kept apart."""

    path: Path
    isolation: str

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def running(self, options: FunctionOptions) -> AbstractAsyncContextManager[tuple[ExecutionEnvironment, Story]]:
        return running(self.path, replace(options, isolation=self.isolation))


VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
ECHO = "def handler(event, context): return event\n"


def outcome(place: Place, options: FunctionOptions, payload: bytes = b"{}") -> tuple[Any, Story]:
    """What one invocation answers, decoded, and all that happened."""

    async def main() -> tuple[Any, Story]:
        async with place.running(options) as (env, story):
            result = await invoke(env, payload)
        return json.loads(result.answer.payload), story

    return run(main())


def python_outcome(
    place: Place, source: str, layers: Mapping[str, Mapping[str, str]], **variables: str
) -> tuple[Any, Story]:
    code = write_files(place / "shop", {"app.py": source})
    folders = [write_files(place / name, files) for name, files in layers.items()]
    return outcome(place, FunctionOptions("app.handler", code, layers=folders, variables=variables))


# where the runtime comes from


def test_a_bootstrap_in_the_code_is_the_runtime(place: Place) -> None:
    code = place / "code"
    code.mkdir()
    shell_runtime(place.path).rename(code / "bootstrap")

    answer, story = outcome(place, FunctionOptions("anything at all", code), b'{"n": 1}')

    assert answer == {"echo": {"n": 1}}
    assert any("provided:al2023" in line for line in story.lines)


def test_a_bootstrap_in_a_zipped_layer_is_the_runtime_of_a_zipped_function(place: Place) -> None:
    layer = place / "layer"
    layer.mkdir()
    shell_runtime(place.path).rename(layer / "bootstrap")
    code = write_files(place / "shop", {"notes.txt": "no code at all"})
    options = FunctionOptions(
        "x", zip_folder(code, place / "shop.zip"), layers=[zip_folder(layer, place / "layer.zip")]
    )

    async def main() -> None:
        async with place.running(options) as (env, _):
            assert env.config.name == "shop"
            assert json.loads((await invoke(env, b"[2]")).answer.payload) == {"echo": [2]}

    run(main())


def test_a_zipped_python_function_runs_like_its_folder(place: Place) -> None:
    source = "import os, lib.deep\ndef handler(e, c): return [lib.deep.N, os.listdir(os.environ['LAMBDA_TASK_ROOT'])]\n"
    code = write_files(place / "shop", {"app.py": source, "lib/deep.py": "N = 7\n"})

    answer, _ = outcome(place, FunctionOptions("app.handler", zip_folder(code, place / "shop.zip")))

    assert answer[0] == 7
    assert sorted(set(answer[1]) - {"__pycache__"}) == ["app.py", "lib"]


def test_a_bootstrap_whose_interpreter_is_missing_is_told(place: Place) -> None:
    code = write_files(place / "code", {"bootstrap": "#!/no/such/interpreter\n"})

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unexpected.append(context))
        with pytest.raises(EnvironmentStartError, match="the interpreter that its first line names"):
            async with place.running(FunctionOptions("x", code)):
                pass

    unexpected: list[object] = []
    run(main())
    assert unexpected == []


# Python's modules


def test_modules_are_found_in_the_code_then_in_layers_then_in_the_interpreter(place: Place) -> None:
    source = (
        "import first, second, third, click, sys\n"
        "def handler(e, c): return [first.N, second.N, third.N, click.__name__]\n"
    )
    site_packages = f"python/lib/python{VERSION}/site-packages"
    answer, _ = python_outcome(
        place,
        source,
        {
            "shop": {"first.py": "N = 'code'\n"},
            "layer-1": {
                "python/first.py": "N = 'layer'\n",
                "python/second.py": "N = 'python'\n",
                f"{site_packages}/second.py": "N = 'site-packages'\n",
                "python/third.py": "N = 'earlier layer'\n",
            },
            "layer-2": {"python/third.py": "N = 'later layer'\n"},
        },
    )
    assert answer == ["code", "site-packages", "later layer", "click"]


def test_a_customers_python_path_stands_in_place_of_the_layers(place: Place) -> None:
    source = (
        "import os\ntry:\n    import packed\nexcept ImportError:\n    packed = None\n"
        "def handler(e, c): return [packed is not None, 'opt' in os.environ['PYTHONPATH']]\n"
    )
    layers = {"layer": {"python/packed.py": "", "vendor/packed.py": ""}}
    assert python_outcome(place, source, layers)[0] == [True, False]
    assert python_outcome(place, source, layers, PYTHONPATH="vendor")[0] == [False, False]
    assert python_outcome(place, source, layers, PYTHONPATH="/opt/vendor")[0] == [True, True]


def test_path_files_in_the_code_and_in_layers_are_read(place: Place) -> None:
    source = "import hidden, vendored\ndef handler(e, c): return [hidden.N, vendored.N]\n"
    layers = {
        "shop": {"shop.pth": "vendor\n", "vendor/vendored.py": "N = 1\n"},
        "layer": {"python/layer.pth": "below\n", "python/below/hidden.py": "N = 2\n"},
    }
    assert python_outcome(place, source, layers)[0] == [2, 1]


def test_the_interpreters_own_client_runs_the_function_not_one_in_its_code(place: Place) -> None:
    source = "import awslambdaric\ndef handler(e, c): return awslambdaric.__file__\n"
    layers = {"shop": {"awslambdaric/__init__.py": "raise SystemExit('the wrong client')\n"}}
    answer, _ = python_outcome(place, source, layers, PYTHONPATH=".")
    assert answer.endswith("site-packages/awslambdaric/__init__.py")


def test_programs_and_libraries_of_layers_are_found(place: Place) -> None:
    source = (
        "import os, subprocess\n"
        "def handler(e, c): return [subprocess.check_output(['tool'], text=True), os.environ['LD_LIBRARY_PATH']]\n"
    )
    answer, _ = python_outcome(place, source, {"layer": {"bin/tool": "#!/bin/sh\necho from the layer\n"}})
    assert answer[0] == "from the layer\n"
    assert answer[1].endswith("opt/lib")


# wrappers

WRAPPER = """#!/bin/sh
echo "wrapping $# arguments"
export GIVEN="$_HANDLER" _HANDLER=wrapped.handler
interpreter=$1; shift
exec "$interpreter" -X dev "$@"
"""
WRAPPED = (
    "import os, sys\n"
    "def handler(e, c): return [os.environ['GIVEN'], sys.flags.dev_mode, os.environ['AWS_LAMBDA_EXEC_WRAPPER']]\n"
)


def test_a_wrapper_starts_the_runtime_and_may_change_the_handler(place: Place) -> None:
    layers = {"layer": {"start.sh": WRAPPER, "python/wrapped.py": WRAPPED}}
    answer, story = python_outcome(place, ECHO, layers, AWS_LAMBDA_EXEC_WRAPPER="/opt/start.sh")
    assert answer == ["app.handler", True, "/opt/start.sh"]
    assert "wrapping 2 arguments" in story.lines


def test_a_wrapper_may_lie_beside_the_code(place: Place) -> None:
    files = {"shop": {"start": WRAPPER, "wrapped.py": WRAPPED}}
    answer, _ = python_outcome(place, ECHO, files, AWS_LAMBDA_EXEC_WRAPPER="/var/task/start")
    assert answer[0] == "app.handler"


@pytest.mark.parametrize(
    ("wrapper", "said", "status"),
    [("/opt/none", "/opt/none: does not exist", 127), ("/opt/plain", "/opt/plain: is not an executable", 126)],
)
def test_a_wrapper_that_cannot_be_run_ends_the_runtime_as_on_lambda(
    place: Place, wrapper: str, said: str, status: int
) -> None:
    answer, story = python_outcome(place, ECHO, {"layer": {"plain": "x"}}, AWS_LAMBDA_EXEC_WRAPPER=wrapper)
    assert answer["errorType"] == "Runtime.ExitError"
    assert f"exit status {status}" in answer["errorMessage"]
    assert said in story.lines


def test_a_custom_runtime_is_not_wrapped(place: Place) -> None:
    code = write_files(place / "code", {"start": "#!/bin/sh\nexit 3\n"})
    shell_runtime(place.path).rename(code / "bootstrap")
    options = FunctionOptions("x", code, variables={"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/start"})

    async def main() -> None:
        async with place.running(options) as (env, _):
            assert json.loads((await invoke(env)).answer.payload) == {"echo": {}}
            assert any("AWS_LAMBDA_EXEC_WRAPPER has no effect" in warning for warning in env.config.warnings)

    run(main())


# extensions of layers

WATCHER = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension"
id=$(curl -s -D - -o /dev/null "$api/register" -H "Lambda-Extension-Name: watcher" -d '{"events":["SHUTDOWN"]}' |
    tr -d '\\r' | sed -n 's/^[Ll]ambda-[Ee]xtension-[Ii]dentifier: //p')
echo watching
exec curl -s -o /dev/null "$api/event/next" -H "Lambda-Extension-Identifier: $id"
"""


def test_the_file_that_disables_extensions_in_a_layer_does_so(place: Place) -> None:
    write_files(place / "layer", {"extensions/watcher": WATCHER})
    code = write_files(place / "shop", {"app.py": ECHO})
    off = write_files(place / "off", {"disable-extensions-jwigqn8j": ""})

    _, story = outcome(place, FunctionOptions("app.handler", code, layers=[place / "layer"]))
    assert "watching" in story.lines
    _, story = outcome(place, FunctionOptions("app.handler", code, layers=[place / "layer", off]))
    assert "watching" not in story.lines


# where processes see things


@needs_namespaces
@pytest.mark.parametrize("place", ["namespace"], indirect=True)
def test_in_namespaces_a_runtime_has_lambdas_own_paths(place: Place) -> None:
    source = "import os, sys\ndef handler(e, c): return [__file__, sys.argv[0], sorted(os.listdir('/var/runtime'))]\n"
    code = write_files(place / "shop", {"app.py": source})

    async def main() -> None:
        async with place.running(FunctionOptions("app.handler", code)) as (env, _):
            told = json.loads((await invoke(env)).answer.payload)
            assert told[:2] == ["/var/task/app.py", "/var/runtime/bootstrap.py"]
            assert {"bootstrap.py", "index.mjs"} <= set(told[2])

    run(main())


@needs_namespaces
@pytest.mark.parametrize("place", ["namespace"], indirect=True)
def test_in_namespaces_python_on_the_path_is_the_functions_with_its_packages(place: Place) -> None:
    source = (
        "import subprocess\n"
        "PROGRAM = 'import awslambdaric, sys; print(sys.version_info[:2])'\n"
        "def handler(e, c): return subprocess.check_output(['python3', '-c', PROGRAM], text=True)\n"
    )
    code = write_files(place / "shop", {"app.py": source})

    async def main() -> None:
        async with place.running(FunctionOptions("app.handler", code)) as (env, _):
            assert json.loads((await invoke(env)).answer.payload) == f"{sys.version_info[:2]}\n"

    run(main())
