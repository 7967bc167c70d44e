"""Which isolation is in force, and what stays visible."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.namespaces import needs_namespaces
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.isolation.choice import choose
from tailrace.emulator.isolation.level import AUTO, NAMESPACE, PROCESS, Isolation
from tailrace.emulator.isolation.mounts import Mount, is_hidden, read_mount
from tailrace.emulator.isolation.namespace import NamespaceRefusedError, Namespaces
from tailrace.emulator.isolation.settling import settle
from tailrace.emulator.processes import procfs
from tailrace.emulator.workspace import Workspace
from tailrace.errors import UsageError


class Refused(Namespaces):
    """As on a machine that does not allow them."""

    def __init__(self) -> None:
        """Nothing is started."""

    def wait_until_ready(self) -> None:
        raise NamespaceRefusedError("user, mount and PID namespaces", "Operation not permitted")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "environments").mkdir()
    with Workspace.create(tmp_path / "environments") as workspace:
        yield workspace


@pytest.fixture
def visible_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours lies where no environment hides it, wherever this project was put."""
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(sys, "base_prefix", "/usr")


def function(tmp_path: Path, **variables: str) -> FunctionConfig:
    return FunctionConfig("f", "app.handler", tmp_path, ("/bin/true",), environment=variables)


def test_auto_settles_for_less_and_says_what_is_missing() -> None:
    found = choose(AUTO, Refused())
    assert found.level == PROCESS
    assert str(found) == (
        "process isolation (not allowed here: user, mount and PID namespaces: Operation not permitted)"
    )


def test_namespaces_that_were_asked_for_and_are_not_to_be_had_are_an_error() -> None:
    with pytest.raises(UsageError) as caught:
        choose(NAMESPACE, Refused())
    assert str(caught.value) == (
        "--isolation: this machine does not allow namespace isolation: no user, mount and PID namespaces "
        '(Operation not permitted); "tailrace doctor" says what to do; --isolation process works everywhere'
    )


def test_process_isolation_needs_nothing_and_says_nothing_more() -> None:
    assert choose(PROCESS, None) == Isolation()
    assert str(Isolation()) == "process isolation"


@needs_namespaces
def test_namespaces_that_nobody_took_are_closed_with_the_folder(tmp_path: Path) -> None:
    before = procfs.children(os.getpid())
    with Workspace.create(tmp_path) as workspace:
        workspace.begin_namespaces()
    assert procfs.children(os.getpid()) == before


@needs_namespaces
def test_the_best_that_is_allowed_is_taken(tmp_path: Path, workspace: Workspace) -> None:
    settled = settle(function(tmp_path), workspace, AUTO, ())
    assert (settled.isolation.level, str(settled.isolation)) == (NAMESPACE, "namespace isolation")
    assert (settled.task_root, settled.opt_root) == ("/var/task", "/opt")


@needs_namespaces
@pytest.mark.usefixtures("visible_python")
def test_auto_keeps_visible_what_variables_and_destinations_name_below_tmp(
    tmp_path: Path, workspace: Workspace
) -> None:
    (tmp_path / "ca.pem").write_text("")
    variables = {
        "TAILRACE_DESTINATIONS": f"stdout: file://{tmp_path}/logs?compress=gzip https://h/x",
        "SSL_CERT_FILE": f"{tmp_path}/ca.pem",
        "SEARCH": f"/usr/lib:{tmp_path}/new",
        "OTHER": "/tmp:/tmp/not-there:/opt:/tmpx/y",
    }
    settled = settle(function(tmp_path, **variables), workspace, AUTO, ())
    assert [mount.target for mount in settled.mounts] == [f"{tmp_path}/logs", f"{tmp_path}/ca.pem", str(tmp_path)]
    assert (tmp_path / "logs").is_dir()


@needs_namespaces
def test_auto_keeps_a_hidden_virtual_environment_visible_for_programs_that_name_its_interpreter(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    assert settle(function(tmp_path), workspace, AUTO, ()).mounts == (Mount(tmp_path, str(tmp_path), read_only=True),)
    assert settle(function(tmp_path), workspace, NAMESPACE, ()).mounts == ()


@needs_namespaces
@pytest.mark.parametrize("variable", ["TAILRACE_DESTINATIONS", "TAILRACE_DEAD_LETTER"])
@pytest.mark.parametrize("folder", ["/tmp/logs", "/opt/logs", "/var/task/logs"])
def test_a_destination_that_would_vanish_is_refused_where_namespaces_were_asked_for(
    tmp_path: Path, workspace: Workspace, folder: str, variable: str
) -> None:
    with pytest.raises(UsageError) as caught:
        settle(function(tmp_path, **{variable: f"file://{folder}"}), workspace, NAMESPACE, ())
    assert caught.value.setting == variable
    assert caught.value.found.startswith(f"file://{folder} lies in a place that is the environment's own")
    assert caught.value.remedy == f"add --mount {folder}, or choose a folder elsewhere"


@needs_namespaces
def test_a_destination_below_a_mount_is_fine_unless_that_is_read_only(tmp_path: Path, workspace: Workspace) -> None:
    target = function(tmp_path, TAILRACE_DESTINATIONS=f"file://{tmp_path}/logs/deep")
    assert settle(target, workspace, NAMESPACE, [str(tmp_path)]).mounts == (Mount(tmp_path, str(tmp_path)),)
    with pytest.raises(UsageError, match="vanishes with it"):
        settle(target, workspace, NAMESPACE, [f"{tmp_path}:ro"])


@needs_namespaces
@pytest.mark.usefixtures("visible_python")
@pytest.mark.parametrize("level", [AUTO, NAMESPACE])
def test_a_destination_that_is_seen_as_here_can_be_written_to_at_every_level(
    tmp_path: Path, workspace: Workspace, level: str
) -> None:
    """Below a folder of this machine that no environment has of its own, by its name or by a link."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        visible = Path(name)
        (visible / "link").symlink_to(visible / "real")
        (visible / "real").mkdir()
        variables = {
            "TAILRACE_DESTINATIONS": f"file://{visible}/new/deep file://{visible}/link?rotate=1h file:///proc/x",
            "TAILRACE_DEAD_LETTER": f"file://{visible}/dead file:/// file:///etc file:///proc",
        }
        settled = settle(function(tmp_path, **variables), workspace, level, ())
        assert [(mount.source, mount.target) for mount in settled.mounts] == [
            (visible / place, f"{visible}/{place}") for place in ("new/deep", "real", "dead")
        ]
        assert not any(mount.read_only for mount in settled.mounts)


@needs_namespaces
@pytest.mark.parametrize("level", [AUTO, NAMESPACE])
def test_a_hidden_folder_as_a_whole_is_no_destination(tmp_path: Path, workspace: Workspace, level: str) -> None:
    with pytest.raises(UsageError, match=r"file:///tmp lies in .*choose a folder elsewhere"):
        settle(function(tmp_path, TAILRACE_DESTINATIONS="file:///tmp"), workspace, level, ())


def test_plain_processes_cannot_be_shown_a_file_at_another_place(tmp_path: Path, workspace: Workspace) -> None:
    settle(function(tmp_path), workspace, PROCESS, [str(tmp_path)])
    with pytest.raises(UsageError, match="--isolation namespace"):
        settle(function(tmp_path), workspace, PROCESS, [f"{tmp_path}:/opt/x"])


def test_mounts_are_read_as_source_target_and_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_mount(".") == Mount(tmp_path, str(tmp_path))
    assert read_mount(f"{tmp_path}:ro") == Mount(tmp_path, str(tmp_path), read_only=True)
    assert read_mount(f"{tmp_path}:/opt/a/../x") == Mount(tmp_path, "/opt/x")
    assert read_mount(f"{tmp_path}:/data:rw") == Mount(tmp_path, "/data")
    assert read_mount(f"{tmp_path}:/data:ro") == Mount(tmp_path, "/data", read_only=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has not the right form"),
        (":/x", "has not the right form"),
        ("/etc:", "has not the right form"),
        ("/etc:/a:/b", "has not the right form"),
        ("/no/such/place", "/no/such/place does not exist; make it first"),
        ("/etc:relative", 'the target "relative" is not an absolute path'),
        ("/etc:/tmp", "/tmp as a whole is the environment's own"),
        ("/tmp", "/tmp as a whole is the environment's own"),
        ("/etc:/opt/x/..", "/opt as a whole is the environment's own"),
    ],
)
def test_a_mount_that_makes_no_sense_is_told(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_mount(text)
    assert words in str(caught.value)


def test_hidden_is_what_lies_below_the_environments_own_folders() -> None:
    assert [is_hidden(path) for path in ("/tmp/x", "/opt/x/y", "/var/task/x")] == [True] * 3
    assert [is_hidden(path) for path in ("/tmp", "/tmpx/y", "/var/tasks", "/home/tmp/x")] == [False] * 4
