"""The variables that a user sets for a function: which names are allowed, and which are the role's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tailrace.errors import UsageError

RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_MAX_CONCURRENCY",
        "AWS_ACCESS_KEY",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_METADATA_API",
        "AWS_LAMBDA_METADATA_TOKEN",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)
"""Names that the service refuses (lambda-platform.md 1.2, lambda-platform-2026.md 2). Credentials and region are
reserved there too; here they are how a user says which role and region the function has."""

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
MAX_BYTES = 4096
"""All names and values together (lambda-platform.md 1.2)."""

DEFAULT_REGION = "us-east-1"
DUMMY_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "ASIATAILRACELOCAL000",
    "AWS_SECRET_ACCESS_KEY": "tailrace/local/environment/not/a/secret0",
    "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2xvY2FsLW5vdC1hLXJlYWwtc2Vzc2lvbi10b2tlbg==",
}
"""Shaped like a role's, so that SDKs accept them; they open nothing."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""The service wants two characters at least; a single letter does no harm here."""


@dataclass(frozen=True, slots=True)
class CustomerEnvironment:
    """A user's variables, sorted out: the function's own, the role's credentials, the region."""

    variables: dict[str, str]
    credentials: dict[str, str]
    region: str


def sort_variables(variables: Mapping[str, str]) -> CustomerEnvironment:
    """Split what was given by `--env`. Raises `UsageError` for what the service would refuse as well."""
    own = {name: value for name, value in variables.items() if name not in CREDENTIALS + REGIONS}
    for name in own:
        _check_name(name)
    for name, value in variables.items():
        _check_value(name, value)
    size = sum(len(name.encode()) + len(value.encode()) for name, value in own.items())
    if size > MAX_BYTES:
        raise UsageError("--env", f"the variables take {size} bytes", f"Lambda allows {MAX_BYTES}, names included")
    credentials = {name: variables[name] for name in CREDENTIALS if variables.get(name)}
    region = next((variables[name] for name in REGIONS if variables.get(name)), DEFAULT_REGION)
    return CustomerEnvironment(own, credentials or dict(DUMMY_CREDENTIALS), region)


def _check_name(name: str) -> None:
    if name in RESERVED:
        raise UsageError("--env", f"{name} is reserved", "Lambda sets it itself; leave it out")
    if not _NAME.fullmatch(name):
        raise UsageError(
            "--env",
            f'"{name}" cannot be the name of a variable',
            "Lambda allows letters, digits and underscores, the first one a letter",
        )


def _check_value(name: str, value: str) -> None:
    try:
        is_text = b"\0" not in value.encode()
    except UnicodeEncodeError:
        is_text = False
    if not is_text:
        raise UsageError("--env", f"the value of {name} is not text", "Lambda allows UTF-8 without zero bytes")
