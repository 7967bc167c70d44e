"""What a function and its extensions see in namespaces of their own: Lambda's places, users and names."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from support.emulator_async import run
from support.emulator_extensions import ShellExtension
from support.emulator_runs import environment, executable, invoke
from support.namespaces import SHOWN_IN_TMP, needs_namespaces
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.errors import UsageError

pytestmark = needs_namespaces

LOOK = """
import grp, os, pwd, socket

def attempt(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return os.strerror(error.errno)
    return "done"

def touch(path):
    with open(path, "a"):
        pass

def reserve(path, n_bytes):
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, n_bytes)

def handler(event, context):
    if "exit" in event:
        os._exit(1)
    return {name: eval(text) for name, text in event.items()}
"""


async def ask(env: ExecutionEnvironment, **expressions: str) -> dict[str, Any]:
    """The values of Python expressions inside."""
    answer = json.loads((await invoke(env, json.dumps(expressions).encode())).answer.payload)
    assert "errorMessage" not in answer, answer
    return dict(answer)


def test_the_function_is_lambdas_user_in_lambdas_folder(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with environment(tmp_path, LOOK, isolation="namespace") as (env, _):
            assert env.isolation == "namespace"
            seen = await ask(
                env,
                ids="[os.getuid(), os.getgid()]",
                names="[pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name]",
                folder="os.getcwd()",
                file="__file__",
                variables="dict(os.environ)",
                others="[name for name in os.listdir('/proc') if name.isdigit()]",
            )
        assert seen["ids"] == [993, 990]
        assert seen["names"] == ["sbx_user1051", "sbx_user1051"]
        assert (seen["folder"], seen["file"]) == ("/var/task", "/var/task/app.py")
        variables = seen["variables"]
        assert (variables["LAMBDA_TASK_ROOT"], variables["LAMBDA_RUNTIME_DIR"]) == ("/var/task", "/var/runtime")
        assert variables["PATH"] == "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"
        assert variables["LD_LIBRARY_PATH"].endswith(":/var/task:/var/task/lib:/opt/lib")
        assert seen["others"] == ["1", "2"]

    run(scenario())


@pytest.mark.parametrize("name", ["sandbox.localdomain", "sandbox", "localhost"])
def test_the_sandboxs_names_are_loopback(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        async with environment(tmp_path, LOOK, isolation="namespace") as (env, _):
            seen = await ask(env, address=f"socket.gethostbyname({name!r})")
            assert seen["address"] == "127.0.0.1"

    run(scenario())


def test_code_layers_and_root_cannot_be_written_to_and_this_machine_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "layer").mkdir()
    (tmp_path / "layer" / "data").write_text("of the layer")

    async def scenario() -> None:
        async with environment(tmp_path, LOOK, layers=[tmp_path / "layer"], isolation="namespace") as (env, _):
            seen = await ask(
                env,
                layer="open('/opt/data').read()",
                opt="attempt(touch, '/opt/data')",
                task="attempt(touch, '/var/task/app.py')",
                root="attempt(touch, '/new')",
                var="attempt(touch, '/var/new')",
            )
        assert seen == {
            "layer": "of the layer",
            **dict.fromkeys(["opt", "task", "root", "var"], "Read-only file system"),
        }

    before = sorted(Path("/var").iterdir()), sorted(Path("/").iterdir())
    run(scenario())
    assert (sorted(Path("/var").iterdir()), sorted(Path("/").iterdir())) == before


def test_nothing_of_this_machine_can_be_written_to_with_whatever_rights(tmp_path: Path) -> None:
    """As on Lambda: who is root here could change this machine otherwise."""
    out = tmp_path / "out"
    out.mkdir()
    folders = ["/etc", "/root", "/home", "/usr", "/usr/bin", "/var/tmp", "/var/lib", "/run", "/sys", "/dev"]
    folders = [folder for folder in folders if Path(folder).is_dir() and os.access(folder, os.X_OK)]
    expressions = {folder: f"attempt(touch, '{folder}/tailrace-was-here')" for folder in folders}

    async def scenario(level: str) -> None:
        async with environment(tmp_path, LOOK, isolation=level, mounts=[str(out)]) as (env, _):
            assert await ask(env, **expressions) == dict.fromkeys(folders, "Read-only file system")
            assert await ask(
                env,
                hosts="attempt(touch, '/etc/hosts')",
                tmp="attempt(touch, '/tmp/x')",
                out=f"attempt(touch, '{out}/x')",
                null="attempt(touch, '/dev/null')",
                oneself="attempt(touch, '/proc/self/oom_score_adj')",
            ) == {"hosts": "Read-only file system", **dict.fromkeys(["tmp", "out", "null", "oneself"], "done")}

    for level in ("auto", "namespace"):
        run(scenario(level))
    assert not any(Path(folder, "tailrace-was-here").exists() for folder in folders)


def test_shared_memory_is_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with environment(tmp_path, LOOK, isolation="namespace") as (env, _):
            made = "__import__('multiprocessing.shared_memory').shared_memory.SharedMemory(create=True, size=9)"
            assert await ask(env, size=f"(lambda m: [m.size >= 9, m.close(), m.unlink()][0])({made})") == {"size": True}

    run(scenario())


@pytest.mark.parametrize("level", ["auto", "namespace"])
def test_the_folder_of_a_destination_can_be_written_to_though_all_around_it_cannot(tmp_path: Path, level: str) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        variables = {"TAILRACE_DESTINATIONS": f"file://{name}/logs"}

        async def scenario() -> None:
            async with environment(tmp_path, LOOK, isolation=level, variables=variables) as (env, _):
                assert await ask(
                    env, logs=f"attempt(touch, '{name}/logs/new')", beside=f"attempt(touch, '{name}/new')"
                ) == {"logs": "done", "beside": "Read-only file system"}

        run(scenario())
        assert sorted(Path(name).rglob("new")) == [Path(name, "logs", "new")]


def test_tmp_has_its_size_survives_a_reset_and_is_gone_with_the_environment(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with environment(tmp_path, LOOK, isolation="namespace", tmp_mb=600) as (env, _):
            seen = await ask(
                env,
                empty="os.listdir('/tmp')",
                size="os.statvfs('/tmp').f_blocks * os.statvfs('/tmp').f_frsize",
                full="attempt(reserve, '/tmp/big', 601 << 20)",
                some="attempt(reserve, '/tmp/kept', 1 << 20)",
                pid="os.getpid()",
            )
            assert (seen["empty"], seen["size"]) == (SHOWN_IN_TMP, 600 << 20)
            assert (seen["full"], seen["some"]) == ("No space left on device", "done")
            assert (await invoke(env, b'{"exit": 1}')).answer.function_error == "Unhandled"
            after = await ask(env, kept="os.path.getsize('/tmp/kept')", pid="os.getpid()")
            assert after["kept"] == 1 << 20
            assert after["pid"] != seen["pid"]
        async with environment(tmp_path, LOOK, isolation="namespace") as (env, _):
            assert (await ask(env, empty="os.listdir('/tmp')")) == {"empty": SHOWN_IN_TMP}

    run(scenario())


def test_two_environments_do_not_see_each_others_files_and_processes(tmp_path: Path) -> None:
    async def scenario() -> None:
        folders = [tmp_path / "one", tmp_path / "two"]
        for folder in folders:
            folder.mkdir()
        async with (
            environment(folders[0], LOOK, isolation="namespace") as (one, _),
            environment(folders[1], LOOK, isolation="namespace") as (two, _),
        ):
            await ask(one, made="attempt(touch, '/tmp/mine')")
            look = {"files": "sorted(os.listdir('/tmp'))", "pids": "[n for n in os.listdir('/proc') if n.isdigit()]"}
            assert await ask(two, **look) == {"files": SHOWN_IN_TMP, "pids": ["1", "2"]}
            assert await ask(one, **look) == {"files": sorted(["mine", *SHOWN_IN_TMP]), "pids": ["1", "2"]}

    run(scenario())


def test_an_unmodified_extension_with_fixed_paths_and_names_runs(tmp_path: Path) -> None:
    """It reads `/opt/data` and `/var/task/app.py`, works in `/tmp`, and listens on the sandbox's own name."""
    layer = tmp_path / "layer"
    extension = ShellExtension(
        layer / "extensions",
        at_invoke="cat /opt/data; grep -c handler /var/task/app.py; id -un; echo $0; ls /tmp; ls /opt/extensions",
    )
    listener = extension.out / "listener.py"
    listener.write_text(listener.read_text().replace('("127.0.0.1", 0)', '("sandbox.localdomain", 0)'))
    listener.rename(layer / "listener.py")
    text = extension.path.read_text().replace("$out/listener.py", "/opt/listener.py")
    extension.path.write_text(text.replace(str(extension.out), "/tmp"))
    extension.out.rmdir()
    (layer / "data").write_text("of the layer\n")

    async def scenario() -> None:
        async with environment(tmp_path, LOOK, layers=[layer], isolation="namespace") as (env, story):
            await invoke(env)
        said = [line.text for line in story.of("log") if line.source == "extension"]
        start = said.index("of the layer")
        assert said[start + 1 : start + 4] == ["1", "sbx_user1051", "/opt/extensions/shell-ext"]
        assert {"port", "registered", "events"} <= set(said[start + 4 : -1])
        assert said[-1] == "shell-ext"
        delivered = {entry.event["type"] for entry in env.telemetry_log if entry.subscriber and entry.delivered_at}
        assert {"platform.start", "platform.runtimeDone"} <= delivered
        assert env.extension_exits == {"shell-ext": 0}

    run(scenario())


def test_a_single_extension_runs_in_place_with_its_neighbours_and_stands_in_opt_as_well(tmp_path: Path) -> None:
    extension = ShellExtension(
        tmp_path / "ext", at_invoke='cat "${0%/*}/neighbour" /opt/extensions/shell-ext | head -2'
    )
    (tmp_path / "ext" / "neighbour").write_text("beside it\n")

    async def scenario() -> None:
        async with environment(tmp_path, LOOK, extensions=[extension.path], isolation="namespace") as (env, story):
            await invoke(env)
        said = [line.text for line in story.of("log") if line.source == "extension"]
        assert said[-2:] == ["beside it", "#!/bin/sh"]

    run(scenario())
    assert "platform.start" in {event["type"] for event in extension.telemetry}


def test_programs_that_expect_lambdas_interpreter_find_the_functions(tmp_path: Path) -> None:
    program = "import sys, signal\nprint(sys.executable, sys.version_info[:2], flush=True)\nsys.exit(0)\n"
    path = executable(tmp_path / "ext" / "snake", f"#!/var/lang/bin/python3 -IS\n{program}")

    async def scenario() -> None:
        async with environment(tmp_path, LOOK, extensions=[path], isolation="namespace", start=False) as (env, story):
            await env.start()
            assert any(line == f"/var/lang/bin/python3 {sys.version_info[:2]}" for line in story.lines)

    run(scenario())


def test_what_is_mounted_is_seen_with_the_rights_that_were_given(tmp_path: Path) -> None:
    for name in ("fixed", "free"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    mounts = [f"{tmp_path}/fixed:/opt/models:ro", f"{tmp_path}/free"]

    async def scenario() -> None:
        async with environment(tmp_path, LOOK, isolation="namespace", mounts=mounts) as (env, _):
            seen = await ask(
                env,
                fixed="open('/opt/models/file').read()",
                kept="attempt(touch, '/opt/models/new')",
                made=f"attempt(touch, '{tmp_path}/free/new')",
                hidden=f"os.path.exists('{tmp_path}/shop/app.py')",
            )
        assert seen == {"fixed": "fixed", "kept": "Read-only file system", "made": "done", "hidden": False}

    run(scenario())
    assert (tmp_path / "free" / "new").exists()
    assert not (tmp_path / "fixed" / "new").exists()


def test_a_mount_that_would_change_this_machine_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        mounts = [f"{tmp_path}:/usr/not-there-at-all/x"]
        async with environment(tmp_path, LOOK, isolation="namespace", mounts=mounts, start=False) as (env, _):
            with pytest.raises(UsageError, match="--mount: /usr/not-there-at-all/x does not exist, and"):
                await env.start()

    run(scenario())
    assert not Path("/usr/not-there-at-all").exists()


def test_what_variables_name_below_tmp_stays_visible_unless_namespaces_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    variables = {"SHARED": f"{tmp_path}/shared/new"}

    async def scenario() -> None:
        async with environment(tmp_path, LOOK, variables=variables) as (env, _):
            assert await ask(env, made="attempt(touch, os.environ['SHARED'])") == {"made": "done"}
        async with environment(tmp_path, LOOK, variables=variables, isolation="namespace") as (env, _):
            assert (await ask(env, made="attempt(touch, os.environ['SHARED'])"))["made"] == "No such file or directory"

    run(scenario())
    assert (tmp_path / "shared" / "new").exists()


def test_the_runtimes_interpreter_may_lie_in_a_hidden_place(tmp_path: Path) -> None:
    """As a virtual environment below `/tmp` does, or what a CI service has installed below `/opt`."""
    runtime = executable(tmp_path / "installed" / "bin" / "bootstrap", "#!/bin/sh\n. ${0%/*}/../lib/words; exit 3\n")
    executable(tmp_path / "installed" / "lib" / "words", "echo from the installation\n")
    link = tmp_path / "links" / "bootstrap"
    link.parent.mkdir()
    link.symlink_to(runtime)

    async def scenario() -> None:
        for path in (runtime, link):
            async with environment(tmp_path, bootstrap=path, isolation="namespace") as (env, story):
                assert env.process_exits["runtime"].exit_code in (2, 3)
                assert (path == link) != ("from the installation" in story.lines)

    run(scenario())
