"""What every way to run a function's code comes down to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Runtime:
    """The runtime process of a function, in this machine's paths.

    `name` is the runtime's identifier (``python3.13``), `execution_env` the value of `AWS_EXECUTION_ENV`, empty for
    custom runtimes. `environment` is what its process gets beside the platform's variables. `files` are what must
    stay visible at their place wherever the sandbox hides parts of this machine: interpreters, clients. `is_managed`
    says whether `AWS_LAMBDA_EXEC_WRAPPER` is honoured.
    """

    command: tuple[str, ...]
    name: str
    execution_env: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    is_managed: bool = True
