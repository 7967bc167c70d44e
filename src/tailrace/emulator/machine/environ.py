"""The whole environment of each process (lambda-platform.md 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tailrace.emulator.function import FunctionConfig
from tailrace.protocol import credentials_api, metadata_api

HIDDEN_FROM_EXTENSIONS = frozenset(
    {
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "_AWS_XRAY_DAEMON_ADDRESS",
        "_AWS_XRAY_DAEMON_PORT",
        "_HANDLER",
    }
)
"""lambda-platform.md 1.4"""


@dataclass(frozen=True, slots=True)
class SandboxNames:
    """What one environment is called and how its processes reach it. `runtime_api` is host and port."""

    runtime_api: str
    log_stream: str
    metadata_token: str = field(repr=False)
    credentials_token: str = field(repr=False)


def runtime_environ(config: FunctionConfig, sandbox: SandboxNames) -> dict[str, str]:
    """What the runtime's process sees: overridable defaults, then the customer's, then what is reserved."""
    return _overridable(config) | dict(config.environment) | _reserved(config, sandbox)


def extension_environ(config: FunctionConfig, sandbox: SandboxNames, extra: Mapping[str, str]) -> dict[str, str]:
    """What an extension's process sees: the same without the ten hidden variables and the customer's that begin
    with an underscore. `extra` is added where the customer has not set it."""
    everything = runtime_environ(config, sandbox)
    seen = {name: value for name, value in everything.items() if not _is_hidden(name)}
    return {**extra, **seen}


def _is_hidden(name: str) -> bool:
    return name in HIDDEN_FROM_EXTENSIONS or name.startswith("_")


def log_group(config: FunctionConfig) -> str:
    return f"/aws/lambda/{config.name}"


def log_stream_name(config: FunctionConfig, time_text: str, unique: str) -> str:
    """``2026/01/02/[$LATEST]`` and 32 hexadecimal digits; also the `instanceId` of telemetry."""
    digits = "".join(character for character in unique.lower() if character in "0123456789abcdef")
    return f"{time_text[:10].replace('-', '/')}/[{config.version}]{digits.ljust(32, '0')[:32]}"


def _overridable(config: FunctionConfig) -> dict[str, str]:
    """Not reserved: the customer's value wins (lambda-platform.md 1.2)."""
    variables = {
        "LANG": "en_US.UTF-8",
        **_search_paths(config),
        "TZ": ":UTC",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
    }
    if config.log_format.upper() == "JSON":
        variables |= {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
    return variables


def _search_paths(config: FunctionConfig) -> dict[str, str]:
    """Where programs and libraries are found: the sandbox's places (lambda-platform.md 1.1), as far as there are any.

    Its system's library folders are left out. They would come before this machine's, which its programs were built
    with; what Lambda has of its own in `/var/lang` and `/var/runtime` is shown where this machine has it.
    """
    code, opt = config.task_root, config.opt_root
    if not config.isolation.has_namespaces:
        return {"PATH": f"/usr/local/bin:/usr/bin:/bin:{opt}/bin", "LD_LIBRARY_PATH": f"{code}:{code}/lib:{opt}/lib"}
    return {
        "PATH": f"/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:{opt}/bin",
        "LD_LIBRARY_PATH": f"/var/lang/lib:/var/runtime:/var/runtime/lib:{code}:{code}/lib:{opt}/lib",
    }


def _reserved(config: FunctionConfig, sandbox: SandboxNames) -> dict[str, str]:
    variables = {
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_LAMBDA_FUNCTION_NAME": config.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory_mb),
        "AWS_LAMBDA_FUNCTION_VERSION": config.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": config.policy.initialization_type,
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group(config),
        "AWS_LAMBDA_LOG_STREAM_NAME": sandbox.log_stream,
        "AWS_LAMBDA_RUNTIME_API": sandbox.runtime_api,
        metadata_api.API_VARIABLE: sandbox.runtime_api,
        metadata_api.TOKEN_VARIABLE: sandbox.metadata_token,
        "LAMBDA_TASK_ROOT": config.task_root,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "_HANDLER": config.handler,
    }
    if config.execution_env:
        variables["AWS_EXECUTION_ENV"] = config.execution_env
    return variables | _credentials(config, sandbox)


def _credentials(config: FunctionConfig, sandbox: SandboxNames) -> dict[str, str]:
    """The role's, or where to get them (lambda-platform.md 1.5)."""
    if not config.policy.container_credentials:
        return dict(config.credentials)
    return {
        credentials_api.URI_VARIABLE: credentials_api.uri(sandbox.runtime_api),
        credentials_api.TOKEN_VARIABLE: sandbox.credentials_token,
    }
