"""Furnishing the namespaces of one environment: from a function's configuration to what its processes see."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tailrace.emulator.deployment.places import RUNTIME, RUNTIME_FILES
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.isolation.first_process import GID, UID, USER
from tailrace.emulator.isolation.layout import LAYERS, TASK, Layout
from tailrace.emulator.isolation.mounts import Mount
from tailrace.emulator.isolation.namespace import NamespaceRefusedError, Namespaces, NamespaceStarter
from tailrace.emulator.workspace import Workspace
from tailrace.errors import EnvironmentStartError

_HOSTS = "127.0.0.1\tsandbox sandbox.localdomain\n"
_LANGUAGES = {"python": ("python3", "python"), "nodejs": ("node",)}
_LANGUAGE_BIN = "/var/lang/bin"


def namespace_starter(config: FunctionConfig, workspace: Workspace) -> NamespaceStarter:
    """Namespaces with the sandbox's files, ready to start processes in.

    Raises `UsageError` for a mount that cannot be, `EnvironmentStartError` when the kernel refuses.
    """
    namespaces = workspace.take_namespaces()
    try:
        namespaces.wait_until_ready()
        _furnish(namespaces, config, workspace)
    except NamespaceRefusedError as error:
        namespaces.close()
        raise EnvironmentStartError(f"this machine does not allow namespace isolation: no {error}") from error
    except BaseException:
        namespaces.close()
        raise
    return NamespaceStarter(namespaces, TASK)


def _furnish(namespaces: Namespaces, config: FunctionConfig, workspace: Workspace) -> None:
    root = workspace.path / "root"
    root.mkdir(exist_ok=True)
    workspace.opt_dir.mkdir(exist_ok=True)
    namespaces.furnish(make_layout(config, workspace.opt_dir, _write_etc(workspace.path / "etc")), root)


def make_layout(config: FunctionConfig, opt_dir: Path, etc: Mapping[str, Path], machine: Path = Path("/")) -> Layout:
    """What the function's processes shall see. `etc` are files for `/etc`, by name."""
    layout = Layout(machine)
    layout.add_machine(own_in_etc=not all((machine / "etc" / name).exists() for name in etc))
    layout.add_function(config.code_dir, opt_dir, config.tmp_mb)
    for extension in config.extensions:
        if not extension.path.is_relative_to(opt_dir):
            layout.keep_visible(extension.path)
            at = f"{LAYERS}/extensions/{extension.name}"
            layout.show(Mount(extension.path.resolve(), at, read_only=True))
    for program in [*_paths_in(config.runtime_command), *config.runtime_files]:
        if not program.is_relative_to(opt_dir):
            layout.keep_visible(program)
    if any(path.is_relative_to(RUNTIME_FILES) for path in config.runtime_files):
        layout.show(Mount(RUNTIME_FILES, RUNTIME, read_only=True))
    for mount in config.mounts:
        layout.show(mount)
    layout.add_etc(etc)
    layout.add_links(_language_links(config))
    return layout.finished()


def _paths_in(command: tuple[str, ...]) -> list[Path]:
    return [Path(word) for word in command if word.startswith("/")]


def _language_links(config: FunctionConfig) -> dict[str, str]:
    """The function's interpreter, where programs for Lambda expect it (a `#!` line, `PATH`)."""
    language = next((name for name in _LANGUAGES if config.runtime_name.startswith(name)), "")
    for names in filter(None, [_LANGUAGES.get(language)]):
        # the runtime's files begin with its interpreter; a command line may begin with a wrapper of any name
        programs = [*config.runtime_files, *_paths_in(config.runtime_command)]
        program = next((path for path in programs if path.name.startswith(names[-1])), None)
        if program is not None:
            versioned = [config.runtime_name] if language == "python" else []
            links = {f"{_LANGUAGE_BIN}/{name}": str(program) for name in [*names, *versioned]}
            return links | _virtual_environment_links(program)
    return {}


def _virtual_environment_links(program: Path) -> dict[str, str]:
    """What makes an interpreter know its virtual environment where it is called by the name in `/var/lang`."""
    home = program.parent.parent
    if not (home / "pyvenv.cfg").is_file():
        return {}
    return {str(PurePosixPath(_LANGUAGE_BIN).parent / name): str(home / name) for name in ("pyvenv.cfg", "lib")}


def _write_etc(folder: Path) -> dict[str, Path]:
    """This machine's files with what a sandbox has beside: its names, and the one user there is."""
    folder.mkdir(exist_ok=True)
    texts = {
        "hosts": _machine_text("hosts") + _HOSTS,
        "passwd": f"{USER}:x:{UID}:{GID}::/home/{USER}:/sbin/nologin\n" + _machine_text("passwd"),
        "group": f"{USER}:x:{GID}:\n" + _machine_text("group"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    return {name: folder / name for name in texts}


def _machine_text(name: str) -> str:
    try:
        text = Path("/etc", name).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    return text if not text or text.endswith("\n") else text + "\n"
