"""The launcher of the built layer, in the bare surroundings that Lambda gives an extension."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.agent_process import PYTHON, AgentProcess, unpack_layer
from support.fake_lambda_api import NEXT, REGISTER, FakeLambdaApi

NO_SANDBOX = pytest.mark.skipif(Path("/var/lang/bin/python3").exists(), reason="the sandbox's own Python comes first")
BASH = any(Path(place).exists() for place in ("/bin/bash", "/usr/bin/bash"))


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def python_at(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "python3").symlink_to(PYTHON)
    return folder


def registered_name(api: FakeLambdaApi) -> str:
    api.wait_for_next()
    return api.first(REGISTER).headers["Lambda-Extension-Name"]


def test_it_starts_with_nothing_but_the_api_and_a_path_in_its_environment(
    opt: Path, api: FakeLambdaApi, tmp_path: Path
) -> None:
    path = python_at(tmp_path / "bin")
    command = ["env", "-i", f"AWS_LAMBDA_RUNTIME_API={api.address}", f"PATH={path}"]
    with subprocess.Popen([*command, opt / "extensions" / "tailrace"], cwd="/", stdout=subprocess.PIPE) as process:
        try:
            assert registered_name(api) == "tailrace"
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
            assert b"MALLOC_ARENA_MAX=1\0" in environment
            assert b"LC_ALL=C\0" in environment
            arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            assert arguments[1:5] == [b"-I", b"-S", b"-E", b"-B"]
        finally:
            process.kill()


def test_through_a_link_it_finds_its_code_and_registers_under_the_links_name(
    opt: Path, api: FakeLambdaApi, tmp_path: Path
) -> None:
    (tmp_path / "one").symlink_to(opt / "extensions" / "tailrace")
    (tmp_path / "my-tailrace").symlink_to("one")
    with AgentProcess(opt, api.address, launcher=tmp_path / "my-tailrace"):
        assert registered_name(api) == "my-tailrace"


def test_it_starts_when_called_by_a_relative_path(opt: Path, api: FakeLambdaApi) -> None:
    relative = os.path.relpath(opt / "extensions" / "tailrace")
    with AgentProcess(opt, api.address, launcher=Path(relative)):
        assert registered_name(api) == "tailrace"


@NO_SANDBOX
def test_a_shim_that_leads_nowhere_is_passed_over(opt: Path, api: FakeLambdaApi, tmp_path: Path) -> None:
    script(tmp_path / "shims" / "python3", "echo 'python3: command not found' >&2; exit 127")
    path = f"{tmp_path}/shims:{python_at(tmp_path / 'bin')}:/usr/bin:/bin"
    with AgentProcess(opt, api.address, {"PATH": path}) as agent:
        assert registered_name(api) == "tailrace"
        api.shutdown()
        assert agent.exit_code() == 0
        assert b"command not found" not in agent.output


@NO_SANDBOX
def test_a_shim_that_works_is_left_for_the_interpreter_behind_it(opt: Path, api: FakeLambdaApi, tmp_path: Path) -> None:
    shim = script(tmp_path / "shims" / "python3", f'exec {PYTHON} "$@"')
    with AgentProcess(opt, api.address, {"PATH": f"{shim.parent}:/usr/bin:/bin"}) as agent:
        assert registered_name(api) == "tailrace"
        assert Path(f"/proc/{agent.pid}/exe").resolve() == PYTHON.resolve()


@NO_SANDBOX
def test_an_interpreter_that_is_too_old_gives_way_to_the_next(opt: Path, api: FakeLambdaApi, tmp_path: Path) -> None:
    # It does what the stub does in an old interpreter: hands back to the launcher with its number.
    old = script(
        tmp_path / "old", 'for last; do :; done; eval "launcher=\\${$(($# - 1))}"; exec sh "$launcher" --tried "$last"'
    )
    script(tmp_path / "shims" / "python3", f"echo {old}")
    # The same folder twice: the launcher must not go round in a circle.
    path = f"{tmp_path}/shims:{tmp_path}/shims:{python_at(tmp_path / 'bin')}:/usr/bin:/bin"
    with AgentProcess(opt, api.address, {"PATH": path}):
        assert registered_name(api) == "tailrace"


def old_interpreter() -> str | None:
    """A program on this machine that is a Python before 3.11, and no shim."""
    found = (shutil.which(name) for name in ("python3.8", "python3.9", "python3.10"))
    return next((path for path in found if path and not Path(path).read_bytes().startswith(b"#!")), None)


OLD = old_interpreter()


@NO_SANDBOX
@pytest.mark.skipif(OLD is None, reason="no Python before 3.11 here")
def test_a_real_interpreter_that_is_too_old_gives_way_to_the_next(
    opt: Path, api: FakeLambdaApi, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    assert OLD is not None
    (tmp_path / "old" / "python3").symlink_to(OLD)
    path = f"{tmp_path}/old:{python_at(tmp_path / 'bin')}:/usr/bin:/bin"
    with AgentProcess(opt, api.address, {"PATH": path}):
        assert registered_name(api) == "tailrace"


@NO_SANDBOX
@pytest.mark.skipif(not BASH, reason="no bash here")
def test_without_python_it_registers_for_nothing_and_never_leaves(opt: Path, api: FakeLambdaApi) -> None:
    with AgentProcess(opt, api.address, {"PATH": "/nowhere"}) as agent:
        assert registered_name(api) == "tailrace"
        assert api.first(REGISTER).json() == {"events": []}
        assert api.first(NEXT).headers["Lambda-Extension-Identifier"] == api.identifier
        agent.wait_for_line("nothing is delivered")
        (line,) = agent.said()
        assert line["level"] == "error"
        assert "found no Python 3.11 or newer" in line["message"]
        assert "self-contained form" in line["message"]
        assert agent.running()


@NO_SANDBOX
def test_without_python_and_without_an_api_it_fails_at_once(opt: Path) -> None:
    with AgentProcess(opt, "127.0.0.1:1", {"PATH": "/nowhere"}) as agent:
        assert agent.exit_code() != 0
        assert b"found no Python 3.11 or newer" in agent.output


@pytest.mark.skipif(not BASH, reason="no bash here")
def test_copied_without_its_code_it_says_so_and_keeps_out_of_the_way(
    opt: Path, api: FakeLambdaApi, tmp_path: Path
) -> None:
    alone = tmp_path / "extensions" / "tailrace"
    alone.parent.mkdir()
    shutil.copy(opt / "extensions" / "tailrace", alone)
    with AgentProcess(opt, api.address, launcher=alone) as agent:
        assert registered_name(api) == "tailrace"
        agent.wait_for_line("copied without the folder tailrace")


def test_bytecode_is_taken_whatever_the_time_stamps_and_sources_say(api: FakeLambdaApi, tmp_path: Path) -> None:
    opt = unpack_layer(tmp_path)
    for source in (opt / "tailrace").rglob("*.py"):
        source.write_text("raise SystemExit('compiled at start')\n")
    with AgentProcess(opt, api.address):
        assert registered_name(api) == "tailrace"
    assert not [path for path in (opt / "tailrace").rglob("*.pyc") if path.stat().st_size == 0]


def test_started_by_hand_outside_lambda_it_says_what_it_is(opt: Path) -> None:
    result = subprocess.run(
        [opt / "extensions" / "tailrace"],
        env={"PATH": f"{PYTHON.parent}:/usr/bin:/bin"},
        capture_output=True,
        timeout=30,
    )
    assert result.returncode == 1
    assert b"AWS_LAMBDA_RUNTIME_API is not set" in result.stdout


# A mount namespace in which the sandbox's own Python stands where it stands on Lambda, and nothing is on PATH.
SANDBOX = """
mount -t tmpfs none /var && mkdir -p /var/lang/bin /var/lang/lib && ln -s "$1" /var/lang/bin/python3 || exit 99
exec env -i AWS_LAMBDA_RUNTIME_API="$2" PATH=/nowhere $4 "$3"
"""
UNSHARE = ["unshare", "--map-root-user", "--mount", "/bin/sh", "-c"]


def namespaces_are_allowed() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "mount -t tmpfs none /var"], capture_output=True, timeout=30).returncode == 0


@pytest.mark.skipif(not namespaces_are_allowed(), reason="mount namespaces are not allowed here")
@pytest.mark.parametrize(
    ("given", "seen"), [("", b"/var/lang/lib"), ("LD_LIBRARY_PATH=/opt/lib:/var/lang/lib", b"/opt/lib:/var/lang/lib")]
)
def test_the_sandboxs_own_python_comes_first_with_its_library_path(
    opt: Path, api: FakeLambdaApi, given: str, seen: bytes
) -> None:
    command = [*UNSHARE, SANDBOX, "sandbox", str(PYTHON), api.address, str(opt / "extensions" / "tailrace"), given]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert registered_name(api) == "tailrace"
            assert Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(b"/var/lang/bin/python3\0")
            environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
            assert b"LD_LIBRARY_PATH=" + seen in environment
        finally:
            process.kill()
