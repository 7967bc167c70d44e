"""What ends a phase before its time, and how the platform words it (lambda-platform.md 4.5)."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.protocol import runtime_api
from tailrace.protocol.platform_events import ERROR, FAILURE, TIMEOUT

RUNTIME_EXIT = "Runtime.ExitError"
RUNTIME_INVALID_ENTRYPOINT = "Runtime.InvalidEntrypoint"
EXTENSION_CRASH = "Extension.Crash"
EXTENSION_INIT_ERROR = "Extension.InitError"
EXTENSION_EXIT_ERROR = "Extension.ExitError"
EXTENSION_LAUNCH_ERROR = "Extension.LaunchError"
SANDBOX_TIMEOUT = "Sandbox.Timedout"
SANDBOX_FAILURE = "Sandbox.Failure"

_SIGNAL_TEXTS = {
    "SIGHUP": "hangup",
    "SIGINT": "interrupt",
    "SIGQUIT": "quit",
    "SIGILL": "illegal instruction",
    "SIGTRAP": "trace/breakpoint trap",
    "SIGABRT": "aborted",
    "SIGBUS": "bus error",
    "SIGFPE": "floating point exception",
    "SIGKILL": "killed",
    "SIGUSR1": "user defined signal 1",
    "SIGSEGV": "segmentation fault",
    "SIGUSR2": "user defined signal 2",
    "SIGPIPE": "broken pipe",
    "SIGALRM": "alarm clock",
    "SIGTERM": "terminated",
}


@dataclass(frozen=True, slots=True)
class Fatal:
    """A fatal error; the first one wins until the reset is finished.

    `document` is the function's own error document where the runtime gave one, else None. `culprit` names the
    extension at fault, or is empty.
    """

    error_type: str
    message: str
    document: bytes | None = None
    culprit: str = ""

    @property
    def status(self) -> str:
        """As telemetry shows it: `failure` is the platform's side, `error` the function's (lambda-platform.md 4.5)."""
        if self.error_type == SANDBOX_TIMEOUT:
            return TIMEOUT
        return FAILURE if self.error_type.startswith("Sandbox.") else ERROR

    @property
    def shown_type(self) -> str:
        """The `errorType` of telemetry: a timeout has none (lambda-platform.md 6.8)."""
        return "" if self.error_type == SANDBOX_TIMEOUT else self.error_type

    def answer(self, request_id: str) -> bytes:
        """What the invoker reads."""
        if self.document is not None:
            return self.document
        return runtime_api.error_document(request_id, self.error_type, self.message)


def timed_out(timeout_s: float) -> Fatal:
    return Fatal(SANDBOX_TIMEOUT, runtime_api.timeout_message(timeout_s))


def runtime_exited(exit_code: int | None, signal: str | None) -> Fatal:
    if exit_code == 0:
        return Fatal(RUNTIME_EXIT, "Runtime exited without providing a reason")
    return Fatal(RUNTIME_EXIT, f"Runtime exited with error: {_how(exit_code, signal)}")


def out_of_memory(error_type: str) -> Fatal:
    """The same words under either type (lambda-platform.md 4.5)."""
    return Fatal(error_type, f"Runtime exited with error: {_how(None, 'SIGKILL')}")


def extension_exited(name: str, exit_code: int | None, signal: str | None) -> Fatal:
    """Even a clean exit is a crash outside shutdown."""
    return Fatal(EXTENSION_CRASH, "exit code 0" if exit_code == 0 else _how(exit_code, signal), culprit=name)


def _how(exit_code: int | None, signal: str | None) -> str:
    if signal is not None:
        return f"signal: {_SIGNAL_TEXTS.get(signal, signal)}"
    return f"exit status {exit_code}"
