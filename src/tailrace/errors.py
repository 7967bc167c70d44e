"""The exception tree. Errors are named for the condition; their text is meant for people.

TailraceError
 ├── ConfigError            a setting that cannot be used: which, what was found, what is allowed
 │    └── UsageError        the same for an argument of the command line
 ├── ProtocolError          a peer said something that Lambda's contract does not allow
 ├── TransportError         a request got no reply
 │    ├── ConnectError      nothing was sent: name not resolved, connection refused, TLS refused
 │    └── NoReplyError      the request may have arrived: reset or timed out after it was sent
 ├── EnvironmentStartError  the local execution environment could not start
 └── EnvironmentEndedError  it ended before it was done with what was asked of it
"""

from __future__ import annotations


class TailraceError(Exception):
    """Base of every error that Tailrace raises on purpose. `str()` is one sentence for a person."""


class ConfigError(TailraceError):
    """A setting that cannot be used.

    `setting` names it (with its place, for example ``TAILRACE_DESTINATIONS, second entry``), `found` says
    what is wrong with it, `remedy` what is allowed or what to do. No secret stands in any of them.
    """

    def __init__(self, setting: str, found: str, remedy: str = "") -> None:
        self.setting = setting
        self.found = found
        self.remedy = remedy
        super().__init__(f"{setting}: {found}" + (f"; {remedy}" if remedy else ""))


class UsageError(ConfigError):
    """An argument of the command line that cannot be used (exit code 2)."""


class ProtocolError(TailraceError):
    """A peer sent what the contract does not allow."""


class TransportError(TailraceError):
    """A request got no reply. `reason` is short and constant enough to count by."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class ConnectError(TransportError):
    """Nothing was sent, so sending again cannot make a duplicate."""


class NoReplyError(TransportError):
    """The request was sent, wholly or in part, and its outcome is unknown.

    `stale` says that it went out on a kept connection that had died meanwhile, as they do while a sandbox is frozen:
    this says nothing about the destination.
    """

    def __init__(self, reason: str, stale: bool = False) -> None:
        self.stale = stale
        super().__init__(reason)


class EnvironmentStartError(TailraceError):
    """The local execution environment could not start (exit code 3)."""


class EnvironmentEndedError(TailraceError):
    """The local execution environment ended before it was done with what was asked of it."""
