"""What is shown where, decided without touching anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailrace.emulator.function import ExtensionFile, FunctionConfig
from tailrace.emulator.isolation.furnishing import make_layout
from tailrace.emulator.isolation.layout import Layout
from tailrace.emulator.isolation.level import NAMESPACE, Isolation
from tailrace.emulator.isolation.mounts import Mount
from tailrace.errors import UsageError

OPT = Path("/w/opt")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root of a small machine."""
    root = tmp_path / "machine"
    for folder in ("usr/bin", "etc", "home/me", "tmp/of-others", "opt/tools", "var/lib", "proc", "dev"):
        (root / folder).mkdir(parents=True)
    for name in ("hosts", "passwd", "group", "resolv.conf"):
        (root / "etc" / name).write_text(name)
    (root / "bin").symlink_to("usr/bin")
    (root / "var" / "run").symlink_to("/run")
    (root / ".file").write_text("")
    return root


def config(tmp_path: Path, **more: object) -> FunctionConfig:
    code = tmp_path / "code"
    code.mkdir(exist_ok=True)
    command = ("/usr/bin/python3", "-m", "awslambdaric")
    return FunctionConfig("f", "app.handler", code, command, isolation=Isolation(NAMESPACE), **more)  # type: ignore[arg-type]  # fields by name


def steps(machine: Path, function: FunctionConfig) -> list[tuple[str, ...]]:
    hosts = machine.parent / "hosts"
    hosts.touch()
    return make_layout(function, OPT, {"hosts": hosts}, machine).steps


def targets(found: list[tuple[str, ...]], kind: str) -> list[str]:
    return [step[1] for step in found if step[0] == kind]


def test_the_machine_is_shown_except_for_what_lambda_has_of_its_own(tmp_path: Path, machine: Path) -> None:
    found = steps(machine, config(tmp_path))
    assert ("bind", "/usr", "/usr") in found
    assert ("bind", "/var/lib", "/var/lib") in found
    assert ("link", "/bin", "usr/bin") in found
    assert ("link", "/var/run", "/run") in found
    assert ("bind", "/.file", "/.file") in found
    sources = {step[2] for step in found if step[0] == "bind"}
    assert sources.isdisjoint({"/tmp", "/opt", "/var"})


def test_every_place_is_made_before_it_is_used_and_none_on_this_machines_folders(tmp_path: Path, machine: Path) -> None:
    mount = Mount(machine / "home", "/tmp/a/b", False)
    found = steps(machine, config(tmp_path, mounts=(mount,), tmp_mb=700))
    made = {"/"} | set(targets(found, "folder")) | set(targets(found, "file"))
    bound_from_machine = [step[1] for step in found if step[0] == "bind" and step[1] == step[2]]
    for kind, place, *_ in found:
        parent = str(Path(place).parent)
        if kind in ("folder", "file", "link"):
            assert parent in made, place
            assert not any(f"{place}".startswith(f"{bound}/") for bound in bound_from_machine)
    assert ("tmpfs", "/tmp", "mode=1777,size=700m") in found
    assert found.index(("tmpfs", "/tmp", "mode=1777,size=700m")) < found.index(("folder", "/tmp/a"))


def test_code_and_layers_are_read_only_the_layers_when_all_has_found_its_place(tmp_path: Path, machine: Path) -> None:
    function = config(tmp_path)
    found = steps(machine, function)
    task = found.index(("bind", "/var/task", str(function.code_dir)))
    assert found[task + 1] == ("tree-read-only", "/var/task")
    assert found[-1] == ("read-only", "/opt")


def test_a_single_extension_stands_in_opt_and_stays_visible_where_it_lies(tmp_path: Path, machine: Path) -> None:
    path = tmp_path / "ext" / "watcher"
    path.parent.mkdir()
    path.write_text("")
    found = steps(machine, config(tmp_path, extensions=(ExtensionFile("watcher", path),)))
    assert ("bind", "/opt/extensions/watcher", str(path)) in found
    assert ("bind", str(tmp_path / "ext"), str(tmp_path / "ext")) in found


def test_an_extension_of_a_layer_needs_nothing(tmp_path: Path, machine: Path) -> None:
    function = config(tmp_path, extensions=(ExtensionFile("watcher", OPT / "extensions" / "watcher"),), opt_dir=OPT)
    assert not any("watcher" in place for step in steps(machine, function) for place in step)


def test_a_hidden_interpreter_is_shown_with_its_installation_and_whatever_its_links_lead_to(
    tmp_path: Path, machine: Path
) -> None:
    real = tmp_path / "installed" / "bin" / "python3.12"
    link = tmp_path / "venv" / "bin" / "python"
    for folder in (real.parent, link.parent):
        folder.mkdir(parents=True)
    real.write_text("")
    link.symlink_to(real)
    layout = Layout(machine)
    layout.keep_visible(link)
    assert targets(layout.steps, "bind") == [str(tmp_path / "venv"), str(tmp_path / "installed")]


def test_the_functions_interpreter_stands_where_lambda_has_it_unless_this_machine_has_one(
    tmp_path: Path, machine: Path
) -> None:
    function = config(tmp_path, runtime_name="python3.12")
    links = [step for step in steps(machine, function) if step[0] == "link" and step[1].startswith("/var/lang")]
    assert links == [
        ("link", f"/var/lang/bin/{name}", "/usr/bin/python3") for name in ("python3", "python", "python3.12")
    ]
    (machine / "var" / "lang").mkdir()
    found = steps(machine, function)
    assert ("bind", "/var/lang", "/var/lang") in found
    assert not any(step[0] == "link" and step[1].startswith("/var/lang") for step in found)


def test_etc_is_taken_apart_only_where_it_lacks_a_file(tmp_path: Path, machine: Path) -> None:
    assert ("bind", "/etc", "/etc") in steps(machine, config(tmp_path))
    (machine / "etc" / "hosts").unlink()
    found = steps(machine, config(tmp_path))
    assert ("bind", "/etc", "/etc") not in found
    assert ("bind", "/etc/resolv.conf", "/etc/resolv.conf") in found
    assert found.index(("file", "/etc/hosts")) < found.index(("bind", "/etc/hosts", str(machine.parent / "hosts")))


@pytest.mark.parametrize("target", ["/home/me/new", "/home/new/deep", "/var/lib/new", "/var/task/new"])
def test_nothing_is_made_on_this_machine_for_a_mount(tmp_path: Path, machine: Path, target: str) -> None:
    with pytest.raises(UsageError, match=f"--mount: {target} does not exist, and .* is this machine's"):
        steps(machine, config(tmp_path, mounts=(Mount(tmp_path, target),)))


@pytest.mark.parametrize("target", ["/home/me", "/tmp/new/deep", "/opt/models", "/data", "/var/new"])
def test_where_it_exists_or_the_place_is_the_environments_own_a_mount_is_made(
    tmp_path: Path, machine: Path, target: str
) -> None:
    found = steps(machine, config(tmp_path, mounts=(Mount(tmp_path, target, True),)))
    bound = found.index(("bind", target, str(tmp_path)))
    assert found[bound + 1] == ("tree-read-only", target)


def test_this_machine_is_read_only_before_anything_of_the_environments_is_mounted(
    tmp_path: Path, machine: Path
) -> None:
    (machine / "etc" / "hosts").unlink()
    found = steps(machine, config(tmp_path))
    own = found.index(("bind", "/var/task", str(tmp_path / "code")))
    for at, step in enumerate(found[:own]):
        if step[0] == "bind" and step[1] != "/proc":
            assert found[at + 1] == ("read-only" if step[1] == "/dev" else "tree-read-only", step[1])
    assert not any(step[0].endswith("read-only") and step[1] == "/proc" for step in found)
    assert ("tree-read-only", "/etc/hosts") in found[own:]
    assert targets(found, "bind")[0] == "/proc"  # where is read what is mounted below the others


def test_what_is_visible_is_mounted_once_more_to_be_written_to(machine: Path) -> None:
    layout = Layout(machine)
    layout.add_machine(own_in_etc=False)
    before = list(layout.steps)
    layout.show(Mount(machine / "home" / "me", "/home/me"))
    assert layout.steps == [*before, ("bind", "/home/me", str(machine / "home" / "me"))]


def test_what_is_kept_visible_is_read_only_and_shown_once(tmp_path: Path, machine: Path) -> None:
    program = tmp_path / "ext" / "watcher"
    program.parent.mkdir()
    program.write_text("")
    layout = Layout(machine)
    layout.keep_visible(program)
    home = str(program.parent)
    assert layout.steps[-2:] == [("bind", home, home), ("tree-read-only", home)]
    before = list(layout.steps)
    layout.keep_visible(program)
    assert layout.steps == before
