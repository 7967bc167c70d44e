from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tailrace.emulator.capabilities import (
    LIMITED,
    MISSING,
    OK,
    Finding,
    GroupFacts,
    MachineFacts,
    is_usable,
    judge,
)
from tailrace.emulator.limits.cgroups import CPU, MEMORY
from tailrace.emulator.machine_look import look, read_settings

BEST = MachineFacts(
    kernel="6.18.1",
    python="3.13.1",
    executable="/venv/bin/python",
    has_runtime_client=True,
    node_version="22.1.0",
    node_client="/project/node_modules/aws-lambda-ric",
    node_failure="",
    namespaces_missing="",
    group=GroupFacts(2, frozenset({MEMORY, CPU}), mounted=2),
    folder="/tmp/tailrace-1000",
    free_bytes=9 << 30,
    has_uvloop=True,
)


def point(machine: MachineFacts, name: str) -> Finding:
    (found,) = [finding for finding in judge(machine) if finding.name == name]
    return found


def test_the_best_machine_has_nothing_to_mend() -> None:
    findings = judge(BEST)
    assert {finding.mark for finding in findings} == {OK}
    assert [finding.remedy for finding in findings] == [""] * len(findings)
    assert is_usable(findings)
    assert BEST.isolation == "namespace"


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"has_runtime_client": False}, "python", "/venv/bin/python -m pip install awslambdaric"),
        ({"process_failure": "Operation not permitted"}, "processes", "try another"),
        ({"folder_failure": "cannot write to /tmp: Read-only file system"}, "folder", "set TMPDIR"),
        ({"listen_failure": "Cannot assign requested address"}, "network", "ip link set lo up"),
    ],
)
def test_what_every_function_needs_is_missing(change: dict[str, object], name: str, words: str) -> None:
    machine = replace(BEST, **change)  # type: ignore[arg-type]  # one member each, of its own type
    found = point(machine, name)
    assert found.mark == MISSING
    assert words in found.remedy
    assert not is_usable(judge(machine))


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"node_client": ""}, "node", "npm install aws-lambda-ric"),
        ({"node_client": "", "node_version": ""}, "node", "only functions in Node.js need it"),
        ({"free_bytes": 100 << 20}, "folder", "a function may write 512 MB"),
        ({"has_uvloop": False}, "event loop", "pip install uvloop"),
        ({"has_shared_memory_sizes": False}, "memory used", "Linux 4.14"),
    ],
)
def test_what_some_functions_need_is_limited_and_the_machine_still_usable(
    change: dict[str, object], name: str, words: str
) -> None:
    machine = replace(BEST, **change)  # type: ignore[arg-type]  # one member each, of its own type
    found = point(machine, name)
    assert found.mark == LIMITED
    assert words in found.remedy
    assert is_usable(judge(machine))


@pytest.mark.parametrize(
    ("settings", "is_root", "is_container", "words"),
    [
        ({"user.max_user_namespaces": "0"}, True, False, "sysctl -w user.max_user_namespaces=15000"),
        ({"kernel.unprivileged_userns_clone": "0"}, False, False, "kernel.unprivileged_userns_clone=1"),
        ({"kernel.unprivileged_userns_clone": "0"}, True, True, "seccomp=unconfined"),
        (
            {"kernel.apparmor_restrict_unprivileged_userns": "1", "user.max_user_namespaces": "96365"},
            False,
            False,
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ({}, False, True, "systempaths=unconfined"),
        ({}, False, False, "everything else works without"),
    ],
)
def test_refused_namespaces_name_what_stands_in_the_way(
    settings: dict[str, str], is_root: bool, is_container: bool, words: str
) -> None:
    machine = replace(
        BEST,
        namespaces_missing="user namespace: Operation not permitted",
        settings=settings,
        is_root=is_root,
        is_container=is_container,
    )
    found = point(machine, "isolation")
    assert (found.mark, machine.isolation) == (LIMITED, "process")
    assert "user namespace: Operation not permitted" in found.found
    assert words in found.remedy
    assert is_usable(judge(machine))


def test_namespaces_without_a_user_of_their_own_are_taken_and_told() -> None:
    settings = {"user.max_user_namespaces": "0"}
    machine = replace(BEST, namespaces_without_user="no space left", settings=settings, is_root=True)
    found = point(machine, "isolation")
    assert (found.mark, machine.isolation) == (LIMITED, "namespace")
    assert "run as you, without capabilities, as a user of their own is refused (no space left)" in found.found
    assert found.remedy == "sudo sysctl -w user.max_user_namespaces=15000"


@pytest.mark.parametrize(
    ("group", "is_root", "is_container", "found", "remedy"),
    [
        (GroupFacts(), True, False, "no control groups are mounted", "mount control groups"),
        (GroupFacts(mounted=2), False, False, "no control group can be made here", "systemd-run --user --scope"),
        (GroupFacts(mounted=1), False, False, "no control group can be made here", "unified_cgroup_hierarchy=1"),
        (GroupFacts(mounted=2), True, True, "no control group can be made here", "in a container that is started with"),
        (GroupFacts(mounted=2), False, True, "no control group can be made here", "as root, in a container"),
        (
            GroupFacts(mounted=2, error="Device or resource busy"),
            False,
            False,
            "refused a control group (Device or resource busy)",
            "systemd-run",
        ),
    ],
)
def test_without_control_groups_memory_is_watched_and_the_share_is_not_to_be_had(
    group: GroupFacts, is_root: bool, is_container: bool, found: str, remedy: str
) -> None:
    machine = replace(BEST, group=group, is_root=is_root, is_container=is_container)
    for name, first in (
        ("memory limit", "kept by watching a hundred times a second"),
        ("cpu share", "--cpu lambda does not"),
    ):
        told = point(machine, name)
        assert told.mark == LIMITED
        assert told.found.startswith(first)
        assert found in told.found
        assert remedy in told.remedy


def test_a_group_for_memory_alone_says_how_to_have_processors_too() -> None:
    machine = replace(BEST, group=GroupFacts(2, frozenset({MEMORY}), mounted=2))
    assert point(machine, "memory limit").mark == OK
    told = point(machine, "cpu share")
    assert told.found == "--cpu lambda does not work: control group version 2 offers memory only"
    assert "Delegate=cpu memory pids" in told.remedy


def test_leftovers_are_counted() -> None:
    assert point(replace(BEST, n_leftovers=1), "leftovers").found.startswith("an environment of killed")
    assert point(replace(BEST, n_leftovers=3), "leftovers").found.startswith("3 environments of killed")


def test_settings_that_a_kernel_does_not_know_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "max_user_namespaces").write_text("0\n")
    assert read_settings(tmp_path) == {"user.max_user_namespaces": "0"}


def test_a_real_look_sees_this_machine_and_no_node_where_path_has_none(tmp_path: Path) -> None:
    machine = look({"PATH": str(tmp_path)})
    assert (machine.node_version, machine.node_client, machine.node_failure) == ("", "", "")
    assert machine.process_failure == machine.listen_failure == machine.folder_failure == ""
    assert machine.free_bytes > 0
    assert machine.has_runtime_client


@pytest.mark.parametrize(
    ("script", "failure"), [("#!/bin/sh\nexit 3\n", "does not work as Node.js"), ("#!/bin/sh\n", "version")]
)
def test_a_node_that_does_not_work_is_told(tmp_path: Path, script: str, failure: str) -> None:
    node = tmp_path / "node"
    node.write_text(script)
    node.chmod(0o755)
    machine = look({"PATH": str(tmp_path)})
    assert failure in machine.node_failure
    assert failure in point(machine, "node").found
