"""A function in Node.js, run by AWS's own client as the service's managed runtime runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tailrace.emulator.deployment import exec_wrapper
from tailrace.emulator.deployment.code_package import CodePackage
from tailrace.emulator.deployment.node_client import NodeClient, find_client
from tailrace.emulator.deployment.node_handler import check_node_handler, split_node_handler
from tailrace.emulator.deployment.places import RUNTIME_FILES, on_host
from tailrace.emulator.deployment.runtime import Runtime
from tailrace.errors import UsageError

START_SCRIPT = RUNTIME_FILES / "index.mjs"
_MAX_HEADER_BYTES = 81920
_PROBE_LIMIT_S = 20


@dataclass(frozen=True, slots=True)
class NodeChoice:
    """The executable and the client, where a user named them."""

    node: Path | None = None
    client: Path | None = None


def node_runtime(
    handler: str,
    chosen: NodeChoice,
    code: CodePackage,
    opt_dir: Path | None,
    variables: Mapping[str, str],
    memory_mb: int,
    host: Mapping[str, str],
) -> Runtime:
    """`variables` are the function's own, `host` this process's. Raises `UsageError` when there is no Node.js, no
    client, or no file that could hold the handler."""
    split_node_handler(handler)
    node = _find_node(chosen.node, host)
    version = _major_version(node)
    search_path = _search_path(code, opt_dir, version, variables)
    client = find_client(chosen.client, _client_folders(code, search_path), node, host)
    local_handler = on_host(handler, code.folder, opt_dir)
    if not variables.get(exec_wrapper.VARIABLE):
        check_node_handler(local_handler, code.folder, code.shown)
    return Runtime(
        command=(str(node), *_options(memory_mb), str(START_SCRIPT)),
        name=f"nodejs{version}.x",
        execution_env=f"AWS_Lambda_nodejs{version}.x",
        environment=_environment(client, search_path, handler, local_handler),
        files=(node, node.resolve(), client.folder, START_SCRIPT),
    )


def _environment(client: NodeClient, search_path: str, handler: str, local_handler: str) -> dict[str, str]:
    changed = {"_HANDLER": local_handler} if local_handler != handler else {}
    return {"_TAILRACE_NODE_CLIENT": str(client.entry), "NODE_PATH": search_path, **changed}


def _find_node(given: Path | None, host: Mapping[str, str]) -> Path:
    if given is not None:
        path = Path(os.path.abspath(given))  # noqa: PTH100 - links stay: a version manager's choice may be one
        if not path.is_file() or not os.access(path, os.X_OK):
            raise UsageError("--node", f"{path} is not an executable file", "give the path of Node.js")
        return path
    found = shutil.which("node", path=host.get("PATH"))
    if found is None:
        raise UsageError("node", "Node.js is not on PATH", "install it, or give its path by --node")
    return Path(found)


def _major_version(node: Path) -> str:
    try:
        result = subprocess.run(
            [str(node), "--version"], env={}, capture_output=True, text=True, timeout=_PROBE_LIMIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        detail = f": {error}" if isinstance(error, OSError) else ""
        raise UsageError("--node", f"{node} does not work as Node.js{detail}", "give the path of Node.js") from None
    match = re.match(r"v(\d+)\.", result.stdout)
    if match is None:
        raise UsageError("--node", f"{node} does not say a version of Node.js", "give the path of Node.js")
    return match[1]


def _options(memory_mb: int) -> tuple[str, ...]:
    """As the service starts Node.js: a heap that fits the function's memory (seen in AWS's published images for
    Node.js 14 and 18)."""
    new_space_mb = memory_mb // 10
    heap = (f"--max-semi-space-size={new_space_mb // 2}", f"--max-old-space-size={memory_mb - new_space_mb}")
    return ("--expose-gc", "--max-http-header-size", str(_MAX_HEADER_BYTES), *heap)


def _search_path(code: CodePackage, opt_dir: Path | None, version: str, variables: Mapping[str, str]) -> str:
    """`NODE_PATH`: the customer's where there is one; else layers, the runtime's own, the code."""
    if variables.get("NODE_PATH"):
        return on_host(variables["NODE_PATH"], code.folder, opt_dir)
    opt = opt_dir or Path("/opt")
    layers = f"{opt}/nodejs/node{version}/node_modules:{opt}/nodejs/node_modules"
    return f"{layers}:/var/runtime/node_modules:/var/runtime:{code.folder}"


def _client_folders(code: CodePackage, search_path: str) -> list[Path]:
    """Every `node_modules` where the client may be: of the code and the project around it, then of the layers."""
    around = [code.folder] if code.is_archive else [code.folder, *code.folder.parents]
    return [*(folder / "node_modules" for folder in around), *(Path(part) for part in search_path.split(":") if part)]
