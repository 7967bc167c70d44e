"""From what a user types to a `FunctionConfig`, with every mistake told before anything is started."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tailrace.emulator.deployment import archives, exec_wrapper
from tailrace.emulator.deployment.code_package import CodePackage, open_code
from tailrace.emulator.deployment.custom_runtime import custom_runtime, find_bootstrap, packed_runtime
from tailrace.emulator.deployment.customer_environment import CustomerEnvironment, sort_variables
from tailrace.emulator.deployment.extension_files import find_extensions, passed_over
from tailrace.emulator.deployment.layers import DISABLE_FILE, MAX_LAYERS, merge_layers
from tailrace.emulator.deployment.node_runtime import NodeChoice, node_runtime
from tailrace.emulator.deployment.places import LAYERS, on_host
from tailrace.emulator.deployment.python_runtime import python_runtime
from tailrace.emulator.deployment.runtime import Runtime
from tailrace.emulator.deployment.runtime_choice import AUTO, NODEJS, PROVIDED, choose_runtime
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.isolation.level import DEFAULT
from tailrace.emulator.isolation.settling import begin, settle
from tailrace.emulator.limits.resources import HOST, require_share
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.servers.tenancy import check_isolation
from tailrace.emulator.workspace import Workspace
from tailrace.errors import UsageError

_PATHS_OF_THE_RUNTIME = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "NODE_PATH", "NODE_OPTIONS")
"""Variables of the customer's that name folders of the sandbox. A runtime without it is given this machine's."""


@dataclass(frozen=True, slots=True)
class FunctionOptions:
    """A function as a user describes it. Paths may be relative to the current directory.

    `code_dir` is a folder or a zip file. `runtime` is ``auto``, ``python``, ``nodejs`` or ``provided``. `python` and
    `node` are interpreters, `node_client` a folder that holds AWS's client for Node.js. `isolation` is ``auto``,
    ``process`` or ``namespace``; `mounts` are ``SRC[:DST][:ro]``; `tmp_mb` is the size of a `/tmp` of its own.
    `cpu` is ``host``, or ``lambda`` for Lambda's share of the processors.
    """

    handler: str
    code_dir: Path = Path()
    runtime: str = AUTO
    bootstrap: Path | None = None
    python: Path | None = None
    node: Path | None = None
    node_client: Path | None = None
    extensions: Sequence[Path] = ()
    layers: Sequence[Path] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 3.0
    memory_mb: int = 128
    log_format: str = "Text"
    freeze: bool = True
    name: str = ""
    isolation: str = DEFAULT
    mounts: Sequence[str] = ()
    tmp_mb: int = 512
    cpu: str = HOST
    tenant_isolation: bool = False
    policy: Policy = field(default_factory=Policy)


def build_function(
    options: FunctionOptions, workspace: Workspace, host: Mapping[str, str] = os.environ
) -> FunctionConfig:
    """Check everything, and unpack code and layers into the workspace.

    `host` are this process's variables: where Node.js and its client may be found. Raises `UsageError` for the first
    thing that cannot work, with what was found and what to do.
    """
    require_share(options.cpu)
    begin(options.isolation, workspace)
    code = open_code(options.code_dir, workspace)
    opt_dir = _opt_dir(options.layers, workspace, code)
    extensions = find_extensions(opt_dir, options.extensions)
    customer = sort_variables(options.variables)
    if options.tenant_isolation:
        check_isolation(options.policy)
    runtime = _runtime(options, code, opt_dir, customer, host)
    config = FunctionConfig(
        name=options.name or code.name,
        handler=options.handler,
        code_dir=code.folder,
        runtime_command=_command(runtime, customer, code, opt_dir),
        timeout_s=options.timeout_s,
        memory_mb=options.memory_mb,
        region=customer.region,
        log_format="JSON" if options.log_format.lower() == "json" else "Text",
        runtime_name=runtime.name,
        execution_env=runtime.execution_env,
        environment=customer.variables,
        credentials=customer.credentials,
        extensions=extensions,
        opt_dir=opt_dir,
        passed_over=passed_over(opt_dir),
        extensions_disabled=opt_dir is not None and (opt_dir / DISABLE_FILE).exists(),
        freeze=options.freeze,
        tenant_isolation=options.tenant_isolation,
        policy=options.policy,
        runtime_environment={**_local_paths(customer, code, opt_dir), **runtime.environment},
        runtime_files=runtime.files,
        warnings=_warnings(options, runtime, customer),
        tmp_mb=options.tmp_mb,
        cpu=options.cpu,
    )
    return settle(config, workspace, options.isolation, options.mounts)


def _opt_dir(layers: Sequence[Path], workspace: Workspace, code: CodePackage) -> Path | None:
    if not layers:
        return None
    merge_layers(layers, workspace.opt_dir, archives.MAX_UNPACKED_BYTES - code.unpacked_bytes)
    return workspace.opt_dir


def _runtime(
    options: FunctionOptions,
    code: CodePackage,
    opt_dir: Path | None,
    customer: CustomerEnvironment,
    host: Mapping[str, str],
) -> Runtime:
    if options.bootstrap is not None:
        _refuse_two_runtimes(options)
        return custom_runtime(options.bootstrap)
    kind = choose_runtime(options.runtime, options.handler, code, opt_dir)
    if kind == PROVIDED:
        return _packed(code, opt_dir)
    if kind == NODEJS:
        choice = NodeChoice(options.node, options.node_client)
        return node_runtime(options.handler, choice, code, opt_dir, customer.variables, options.memory_mb, host)
    return python_runtime(options.handler, options.python, code, opt_dir, customer.variables)


def _refuse_two_runtimes(options: FunctionOptions) -> None:
    if options.runtime not in (AUTO, PROVIDED):
        found = f"--bootstrap is a runtime of its own, and --runtime says {options.runtime}"
        raise UsageError("--bootstrap", found, "leave one of them out")


def _packed(code: CodePackage, opt_dir: Path | None) -> Runtime:
    bootstrap = find_bootstrap(code.folder, opt_dir)
    if bootstrap is None:
        looked = code.shown(code.folder) + (" and in the layers" if opt_dir else "")
        found = f"there is no file named bootstrap (looked in {looked})"
        raise UsageError("--runtime provided", found, "put it there, or name the executable by --bootstrap")
    in_layer = opt_dir is not None and bootstrap.is_relative_to(opt_dir)
    return packed_runtime(bootstrap, f"{LAYERS}/bootstrap, from a layer," if in_layer else code.shown(bootstrap))


def _command(
    runtime: Runtime, customer: CustomerEnvironment, code: CodePackage, opt_dir: Path | None
) -> tuple[str, ...]:
    given = customer.variables.get(exec_wrapper.VARIABLE, "")
    if not given or not runtime.is_managed:
        return runtime.command
    return exec_wrapper.wrapped(runtime.command, on_host(given, code.folder, opt_dir), given)


def _local_paths(customer: CustomerEnvironment, code: CodePackage, opt_dir: Path | None) -> dict[str, str]:
    given = {name: customer.variables[name] for name in _PATHS_OF_THE_RUNTIME if name in customer.variables}
    local = {name: on_host(value, code.folder, opt_dir) for name, value in given.items()}
    return {name: value for name, value in local.items() if value != given[name]}


def _warnings(options: FunctionOptions, runtime: Runtime, customer: CustomerEnvironment) -> tuple[str, ...]:
    said = []
    if len(options.layers) > MAX_LAYERS:
        said.append(f"{len(options.layers)} layers are merged; Lambda allows {MAX_LAYERS}")
    if customer.variables.get(exec_wrapper.VARIABLE) and not runtime.is_managed:
        said.append(f"{exec_wrapper.VARIABLE} has no effect: custom runtimes are started without wrapper, as on Lambda")
    return tuple(said)
