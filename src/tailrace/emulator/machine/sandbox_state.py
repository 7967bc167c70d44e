"""What the phases of an environment share: one value of each, and the first fatal error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.machine.effects import Freeze, Thaw
from tailrace.emulator.machine.environ import SandboxNames, extension_environ, log_stream_name, runtime_environ
from tailrace.emulator.machine.fatal import Fatal
from tailrace.emulator.machine.journal import Journal
from tailrace.emulator.machine.processes import Processes
from tailrace.emulator.machine.registry import Extension, Registry
from tailrace.emulator.machine.runtime_exchange import RuntimeExchange
from tailrace.emulator.machine.stage import ALL_TIMERS, Stage
from tailrace.emulator.machine.subscriber import ATTEMPT, FLUSH, RETRY

FREEZE = "freeze"

_BYTES_PER_MB = 1_048_576


class SandboxState:
    """The sandbox between facts. `fatal` stands from the first fatal error until the reset is finished."""

    def __init__(
        self,
        config: FunctionConfig,
        ids: Callable[[], str],
        runtime_api: str,
        extra: Mapping[str, str],
    ) -> None:
        self.config = config
        self.policy = config.policy
        self.stage = Stage(ids)
        self.journal = Journal(self.stage, config, self.policy)
        self.telemetry = self.journal.telemetry
        self.processes = Processes(self.stage)
        self.registry = Registry()
        self.runtime = RuntimeExchange(self.stage)
        self.fatal: Fatal | None = None
        self.is_frozen = False
        self._runtime_api = runtime_api
        self._extra = extra
        self._peak_bytes = 0
        self._limit_was_exceeded = False
        self._metadata_token = ""

    @cached_property
    def log_stream(self) -> str:
        """The environment keeps one for its life, resets included."""
        return log_stream_name(self.config, self.stage.time_text(), self.stage.ids())

    @property
    def metadata_token(self) -> str:
        self._metadata_token = self._metadata_token or self.stage.ids()
        return self._metadata_token

    @cached_property
    def credentials_token(self) -> str:
        return self.stage.ids()

    @property
    def max_memory_used_mb(self) -> int:
        """A process tree that went over the limit is told at the limit: more than that it never had. Nor had one whose
        sum is higher only by pages of mapped files, which are no part of the limit."""
        limit_mb = self.config.memory_mb
        return limit_mb if self._limit_was_exceeded else min(limit_mb, -(-self._peak_bytes // _BYTES_PER_MB))

    def begin_generation(self) -> None:
        """New processes, identifiers and subscriptions; nothing of the old ones holds (lambda-platform.md 4.6)."""
        self.processes.begin_generation()
        self.registry = Registry(is_open=True)
        for file in () if self.config.extensions_disabled else self.config.extensions:
            self.registry.add(Extension(file.name, is_external=True))
        self.runtime = RuntimeExchange(self.stage)
        self.telemetry.open_window()
        self.fatal = None
        if not self.policy.metadata_token_survives_resets:
            self._metadata_token = ""
        self._peak_bytes = 0
        self._limit_was_exceeded = False

    def memory_measured(self, n_bytes: int) -> None:
        self._peak_bytes = max(self._peak_bytes, n_bytes)

    def memory_limit_exceeded(self) -> None:
        self._limit_was_exceeded = True

    def note_fatal(self, fatal: Fatal) -> Fatal:
        """Record a fatal error unless there is one already; the one that holds."""
        if self.fatal is None:
            self.fatal = fatal
        return self.fatal

    def environ_of_runtime(self) -> dict[str, str]:
        return runtime_environ(self.config, self._names())

    def environ_of_extensions(self) -> dict[str, str]:
        return extension_environ(self.config, self._names(), self._extra)

    def _names(self) -> SandboxNames:
        return SandboxNames(self._runtime_api, self.log_stream, self.metadata_token, self.credentials_token)

    def freeze_soon(self) -> None:
        """Freeze once nobody has called for as long as the policy says."""
        if not self.config.freeze:
            return
        if self.policy.freeze_after_ms and not self.is_frozen:
            self.stage.set_timer(FREEZE, self.policy.freeze_after_ms)
        else:
            self.freeze()

    def freeze(self) -> None:
        """Stop everything, telemetry and its timers too: nothing could be answered meanwhile."""
        self._stand_still(ALL_TIMERS)

    def freeze_now(self) -> None:
        """Stop every process in the midst of its work. Telemetry stands still as well, but deadlines run on: they
        were handed out as points in time (lambda-platform.md 3.2)."""
        self._stand_still((FLUSH, RETRY, ATTEMPT))

    def _stand_still(self, timers: tuple[str, ...]) -> None:
        self.stage.stop_timers(timers)
        if self.is_frozen:
            return
        self.is_frozen = True
        self.telemetry.stand_still()
        self.processes.stand_still()
        self.stage.emit(Freeze())

    def thaw(self) -> None:
        self.stage.cancel_timer(FREEZE)
        if not self.is_frozen:
            return
        self.is_frozen = False
        self.stage.emit(Thaw())
        self.processes.go_on()
        self.stage.start_timers()
        self.telemetry.go_on()
