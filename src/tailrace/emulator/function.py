"""What is being run: one function's configuration and one invocation's input, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tailrace.emulator.deployment import places
from tailrace.emulator.isolation.level import Isolation
from tailrace.emulator.isolation.mounts import Mount
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.plain_value import plain_value


@dataclass(frozen=True, slots=True)
class ExtensionFile:
    """An external extension: `name` is the file's base name, by which it must register (lambda-platform.md 2.4)."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class FunctionConfig:
    """One function as `CreateFunction` would describe it, and how its processes are started here.

    `runtime_command` is the whole argument vector of the runtime process. `environment` are the customer's
    variables; `credentials` the role's (`AWS_ACCESS_KEY_ID` and so on). `opt_dir` is the merge of the layers,
    or None. `code_dir` is the working directory of every process (process isolation). `runtime_environment` is
    what the runtime's process gets beside the platform's variables, because its files lie elsewhere here.
    Both speak of this machine's paths (see `tailrace.emulator.deployment.places`); `runtime_files` are files and
    folders outside the code and the layers that the runtime needs at their place. `warnings` are what a user should
    be told.
    `passed_over` are files of `opt/extensions` that cannot be run. With `extensions_disabled` none is started and
    their API is not there (lambda-platform.md 2.9). With `tenant_isolation` every invocation names its tenant, and
    an environment serves the first one only. `policy` are the choices about the platform itself. `cpu` is ``host``, or
    ``lambda`` for Lambda's share of the processors. `isolation` says whether processes see this machine as it is, or
    the sandbox's folders: then `mounts` are shown beside them, and their `/tmp` holds `tmp_mb`.
    """

    name: str
    handler: str
    code_dir: Path
    runtime_command: tuple[str, ...]
    timeout_s: float = 3.0
    memory_mb: int = 128
    version: str = "$LATEST"
    region: str = "us-east-1"
    account_id: str = "123456789012"
    log_format: str = "Text"
    runtime_name: str = ""
    execution_env: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict)
    extensions: tuple[ExtensionFile, ...] = ()
    opt_dir: Path | None = None
    freeze: bool = True
    runtime_environment: Mapping[str, str] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()
    extensions_disabled: bool = False
    runtime_files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    tenant_isolation: bool = False
    policy: Policy = field(default_factory=Policy)
    cpu: str = "host"
    isolation: Isolation = field(default_factory=Isolation)
    mounts: tuple[Mount, ...] = ()
    tmp_mb: int = 512

    @property
    def task_root(self) -> str:
        """The code's folder as processes see it."""
        return places.CODE if self.isolation.has_namespaces else str(self.code_dir)

    @property
    def opt_root(self) -> str:
        """The layers' folder as processes see it."""
        return places.LAYERS if self.isolation.has_namespaces or self.opt_dir is None else str(self.opt_dir)

    def as_seen(self, text: str) -> str:
        """A path of this machine, or a text that holds such paths, as processes see them."""
        return places.as_seen(text, self.code_dir, self.opt_dir) if self.isolation.has_namespaces else text

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account_id}:function:{self.name}"


@plain_value
class Invocation:
    """One call from outside. `client_context` is decoded JSON text, `cognito_identity` is JSON text, `trace_header` an
    X-Ray header value, `tenant_id` the caller's tenant. What is not known is empty."""

    request_id: str
    payload: bytes
    invoked_arn: str = ""
    client_context: str = ""
    cognito_identity: str = ""
    trace_header: str = ""
    content_type: str = "application/json"
    tenant_id: str = ""


@plain_value
class Answer:
    """What the invoker gets. `function_error` is empty on success, else `Unhandled`."""

    request_id: str
    payload: bytes
    function_error: str = ""
    content_type: str = "application/json"


@plain_value
class Report:
    """The figures of one finished invocation, as in its REPORT line (lambda-platform.md 8.1)."""

    request_id: str
    status: str
    error_type: str
    duration_ms: float
    billed_duration_ms: int
    memory_size_mb: int
    max_memory_used_mb: int
    init_duration_ms: float | None
