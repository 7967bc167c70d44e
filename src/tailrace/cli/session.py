"""From the command line's words to a function that can run: shared by `run` and `serve`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tailrace.cli.errors import say_warning
from tailrace.cli.inputs import read_variables
from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.deployment.policy_sources import read_policy
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.isolation.settling import begin
from tailrace.emulator.workspace import Workspace
from tailrace.packaging.own_extension import check_agent_settings, extension_path


@dataclass(frozen=True)
class FunctionArguments:
    """The shared options as click hands them over (see `tailrace.cli.options`)."""

    handler: str
    code_dir: Path
    runtime: str
    bootstrap: Path | None
    python: Path | None
    node: Path | None
    node_client: Path | None
    extensions: tuple[str, ...]
    layers: tuple[Path, ...]
    variables: tuple[str, ...]
    timeout_s: float
    memory_mb: int
    cpu: str
    log_format: str
    no_freeze: bool
    isolation: str
    mounts: tuple[str, ...]
    tmp_mb: int
    tenant_isolation: bool
    policies: tuple[str, ...]
    config_file: Path | None


@contextmanager
def prepared(arguments: FunctionArguments) -> Iterator[tuple[FunctionConfig, Workspace]]:
    """The checked function and its folder, which is removed at the end. Raises `UsageError`."""
    variables = read_variables(arguments.variables, os.environ)
    with Workspace.create() as workspace:
        begin(arguments.isolation, workspace)
        import tailrace.emulator.driver  # noqa: F401 - needed later; namespaces get ready meanwhile

        options = FunctionOptions(
            handler=arguments.handler,
            code_dir=arguments.code_dir,
            runtime=arguments.runtime,
            bootstrap=arguments.bootstrap,
            python=arguments.python,
            node=arguments.node,
            node_client=arguments.node_client,
            extensions=[extension_path(text) for text in arguments.extensions],
            layers=arguments.layers,
            variables=variables,
            timeout_s=arguments.timeout_s,
            memory_mb=arguments.memory_mb,
            cpu=arguments.cpu,
            log_format=arguments.log_format,
            freeze=not arguments.no_freeze,
            isolation=arguments.isolation,
            mounts=arguments.mounts,
            tmp_mb=arguments.tmp_mb,
            tenant_isolation=arguments.tenant_isolation,
            policy=read_policy(arguments.policies, arguments.config_file),
        )
        config = build_function(options, workspace)
        check_agent_settings(config)
        for warning in config.warnings:
            say_warning(warning)
        if config.extensions_disabled and config.extensions:
            say_warning("a layer switches extensions off (disable-extensions-jwigqn8j); none is started")
        for name in config.passed_over:
            say_warning(f"extensions/{name} of the layers is not executable and is not started")
        yield config, workspace
