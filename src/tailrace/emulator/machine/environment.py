"""The execution environment: every fact comes in here, and what shall be done comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.machine import facts, routes
from tailrace.emulator.machine.effects import Effect, Respond
from tailrace.emulator.machine.extension_calls import ExtensionCalls
from tailrace.emulator.machine.fatal import Fatal
from tailrace.emulator.machine.http_reply import NOT_FOUND, NOT_THERE, HttpReply, not_allowed, refusal, text_reply
from tailrace.emulator.machine.lifecycle import ENDED, Lifecycle
from tailrace.emulator.machine.own_endpoints import OwnEndpoints
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.machine.registry import Extension
from tailrace.emulator.machine.runtime_calls import RuntimeCalls
from tailrace.emulator.machine.sandbox_state import SandboxState
from tailrace.emulator.machine.states import CALL_EXIT_ERROR, CALL_INIT_ERROR
from tailrace.emulator.machine.telemetry_calls import TelemetryCalls
from tailrace.protocol import extensions_api, runtime_api


class Environment:
    """One environment of one function, from its init to its end.

    `ids` gives a new UUID with each call. `runtime_api` is the host and port of the in-sandbox API as processes see
    it. `extra` are variables for extension processes only; a `policy` holds instead of the function's. Facts may come
    in any order: what does not fit the state of things is answered as the platform answers it, or ignored.
    """

    def __init__(
        self,
        config: FunctionConfig,
        ids: Callable[[], str],
        runtime_api: str,
        policy: Policy | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        if policy is not None:
            config = replace(config, policy=policy)
        self._state = SandboxState(config, ids, runtime_api, extra or {})
        self._lifecycle = Lifecycle(self._state)
        self._runtime_calls = RuntimeCalls(self._state, self._lifecycle)
        self._extension_calls = ExtensionCalls(self._state)
        self._telemetry_calls = TelemetryCalls(self._state, self._extension_calls.identify)
        self._own = OwnEndpoints(self._state)

    @property
    def phase(self) -> str:
        """``cold``, ``init``, ``idle``, ``invoke``, ``reset`` or ``ended``."""
        return self._lifecycle.phase

    @property
    def log_stream(self) -> str:
        """The name of the function's log stream."""
        return self._state.log_stream

    def handle(self, fact: facts.Fact, now_ns: int) -> list[Effect]:
        """What follows from `fact`, in order. `now_ns` is nanoseconds since 1970 and never goes back."""
        stage = self._state.stage
        stage.now_ns = max(now_ns, stage.now_ns)
        if self.phase != ENDED or isinstance(fact, facts.InvokeRequested | facts.HttpRequested):
            _HANDLERS[type(fact)](self, fact)
            self._lifecycle.check()
        return stage.take_effects()

    # facts

    def _init_requested(self, _fact: facts.InitRequested) -> None:
        self._lifecycle.init_requested()

    def _invoke_requested(self, fact: facts.InvokeRequested) -> None:
        self._lifecycle.invoke_requested(fact.invocation)

    def _shutdown_requested(self, _fact: facts.ShutdownRequested) -> None:
        self._lifecycle.shutdown_requested()

    def _http_abandoned(self, fact: facts.HttpAbandoned) -> None:
        self._state.runtime.abandoned(fact.exchange)

    def _process_not_spawned(self, fact: facts.ProcessNotSpawned) -> None:
        self._lifecycle.process_not_spawned(fact)

    def _process_exited(self, fact: facts.ProcessExited) -> None:
        self._lifecycle.process_exited(fact)

    def _line_written(self, fact: facts.LineWritten) -> None:
        self._state.journal.line(fact.process, fact.text)

    def _lines_written(self, fact: facts.LinesWritten) -> None:
        for text in fact.texts:
            self._state.journal.line(fact.process, text)

    def _subscriber_connected(self, fact: facts.SubscriberConnected) -> None:
        self._telemetry_calls.connected(fact)

    def _telemetry_answered(self, fact: facts.TelemetryAnswered) -> None:
        self._state.telemetry.answered(fact.delivery, fact.status, fact.error)

    def _timer_fired(self, fact: facts.TimerFired) -> None:
        if not self._state.stage.timer_is_due(fact.timer):
            return
        if not self._state.telemetry.timer_fired(fact.timer):
            self._lifecycle.timer_fired(fact.timer)

    def _memory_measured(self, fact: facts.MemoryMeasured) -> None:
        self._state.memory_measured(fact.n_bytes)

    def _memory_limit_exceeded(self, _fact: facts.MemoryLimitExceeded) -> None:
        self._lifecycle.memory_limit_exceeded()

    def _freeze_requested(self, _fact: facts.FreezeRequested) -> None:
        self._lifecycle.freeze_requested()

    def _thaw_requested(self, _fact: facts.ThawRequested) -> None:
        self._state.thaw()

    def _fault_requested(self, _fact: facts.FaultRequested) -> None:
        """Nothing goes wrong in here: `tailrace.emulator.faults.machine` stands around this one and takes it."""

    # the in-sandbox API

    def _http_requested(self, fact: facts.HttpRequested) -> None:
        found = routes.find_route(fact.path)
        if self._state.config.extensions_disabled and fact.path.startswith(extensions_api.ROOT + "/"):
            self._respond(fact, NOT_THERE)
            return
        if found is None:
            self._respond(fact, NOT_FOUND)
            return
        route, method, request_id = found
        if method not in (fact.method, routes.ANY_METHOD):
            self._respond(fact, not_allowed(method))
        elif fact.truncated and route in (routes.RUNTIME_NEXT, routes.EXTENSION_NEXT):
            # nobody can tell whether such a client still listens: a blocked call of its could swallow an event
            self._respond(fact, refusal(runtime_api.TRUNCATED_REQUEST))
        elif request_id or route in (routes.RUNTIME_RESPONSE, routes.RUNTIME_ERROR):
            call = self._runtime_calls.response if route == routes.RUNTIME_RESPONSE else self._runtime_calls.error
            reply = call(fact, request_id)
            # ahead of the invoker's answer: the runtime has yet to ask for the next event
            self._state.stage.emit_first(Respond(fact.exchange, reply.status, reply.headers, reply.body))
        else:
            _CALLS[route](self, fact)

    def _ping(self, fact: facts.HttpRequested) -> None:
        self._respond(fact, text_reply(200, b"pong"))

    def _metadata(self, fact: facts.HttpRequested) -> None:
        self._respond(fact, self._own.metadata(fact))

    def _credentials(self, fact: facts.HttpRequested) -> None:
        self._respond(fact, self._own.credentials(fact))

    def _logs(self, fact: facts.HttpRequested) -> None:
        self._telemetry_calls.logs(fact)

    def _telemetry(self, fact: facts.HttpRequested) -> None:
        self._telemetry_calls.telemetry(fact)

    def _runtime_next(self, fact: facts.HttpRequested) -> None:
        reply = self._runtime_calls.next(fact)
        if reply is not None:
            self._respond(fact, reply)

    def _runtime_init_error(self, fact: facts.HttpRequested) -> None:
        reply, fatal = self._runtime_calls.init_error(fact)
        self._respond(fact, reply)
        if fatal is not None:
            self._lifecycle.fatal_reported(fatal)

    def _register(self, fact: facts.HttpRequested) -> None:
        reply, extension = self._extension_calls.register(fact)
        self._respond(fact, reply)
        if extension is not None:
            self._lifecycle.extension_registered()

    def _extension_next(self, fact: facts.HttpRequested) -> None:
        found = self._extension_calls.next(fact)
        if isinstance(found, Extension):
            self._lifecycle.extension_called_next(found)
        else:
            self._respond(fact, found)

    def _extension_init_error(self, fact: facts.HttpRequested) -> None:
        self._extension_failed(fact, *self._extension_calls.report_error(fact, CALL_INIT_ERROR))

    def _extension_exit_error(self, fact: facts.HttpRequested) -> None:
        self._extension_failed(fact, *self._extension_calls.report_error(fact, CALL_EXIT_ERROR))

    def _extension_failed(self, fact: facts.HttpRequested, reply: HttpReply, fatal: Fatal | None) -> None:
        self._respond(fact, reply)
        if fatal is not None:
            self._lifecycle.fatal_reported(fatal, self._state.policy.extension_error_ends_phase)

    def _respond(self, fact: facts.HttpRequested, reply: HttpReply) -> None:
        self._state.stage.emit(Respond(fact.exchange, reply.status, reply.headers, reply.body))


_HANDLERS: dict[type, Callable[..., None]] = {
    facts.InitRequested: Environment._init_requested,
    facts.InvokeRequested: Environment._invoke_requested,
    facts.ShutdownRequested: Environment._shutdown_requested,
    facts.HttpRequested: Environment._http_requested,
    facts.HttpAbandoned: Environment._http_abandoned,
    facts.ProcessNotSpawned: Environment._process_not_spawned,
    facts.ProcessExited: Environment._process_exited,
    facts.LineWritten: Environment._line_written,
    facts.LinesWritten: Environment._lines_written,
    facts.SubscriberConnected: Environment._subscriber_connected,
    facts.TelemetryAnswered: Environment._telemetry_answered,
    facts.TimerFired: Environment._timer_fired,
    facts.MemoryMeasured: Environment._memory_measured,
    facts.MemoryLimitExceeded: Environment._memory_limit_exceeded,
    facts.FreezeRequested: Environment._freeze_requested,
    facts.ThawRequested: Environment._thaw_requested,
    facts.FaultRequested: Environment._fault_requested,
}

_CALLS: dict[str, Callable[[Environment, facts.HttpRequested], None]] = {
    routes.PING: Environment._ping,
    routes.METADATA: Environment._metadata,
    routes.CREDENTIALS: Environment._credentials,
    routes.LOGS: Environment._logs,
    routes.TELEMETRY: Environment._telemetry,
    routes.RUNTIME_NEXT: Environment._runtime_next,
    routes.RUNTIME_INIT_ERROR: Environment._runtime_init_error,
    routes.REGISTER: Environment._register,
    routes.EXTENSION_NEXT: Environment._extension_next,
    routes.EXTENSION_INIT_ERROR: Environment._extension_init_error,
    routes.EXTENSION_EXIT_ERROR: Environment._extension_exit_error,
}
