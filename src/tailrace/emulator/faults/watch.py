"""Which moments a fact or an effect stands for, read from the traffic with the in-sandbox APIs."""

from __future__ import annotations

from tailrace.emulator.faults import kinds
from tailrace.emulator.faults.plan import Moment
from tailrace.emulator.machine import effects, facts
from tailrace.protocol import credentials_api, extensions_api, jsontext, logs_api, runtime_api, telemetry_api

_GIVEN_AN_EVENT = "given an event"
_RESULTS = (f"/{runtime_api.RESPONSE}", f"/{runtime_api.ERROR}")


class Watch:
    """Knows who asked what, by exchange, and how many invocations there were."""

    def __init__(self) -> None:
        self.invocation = 0
        self._names: dict[str, str] = {}
        self._asked: dict[int, tuple[str, str]] = {}
        self._credentials: set[int] = set()
        self._was_ready: set[str] = set()
        self._last_request_id = ""

    def before(self, fact: facts.Fact) -> Moment | None:
        """Note a fact before the machine is told. The moment that comes even before that, if it is one."""
        if isinstance(fact, facts.InvokeRequested):
            self.invocation += 1
        elif isinstance(fact, facts.HttpAbandoned):
            self._asked.pop(fact.exchange, None)
            self._credentials.discard(fact.exchange)
        elif isinstance(fact, facts.HttpRequested):
            return self._requested(fact)
        return None

    def after(self, fact: facts.Fact) -> list[Moment]:
        """The moments of a fact that the machine has been told."""
        process = self._asks_for_event(fact)
        if not process or process in self._was_ready:
            return []
        self._was_ready.add(process)
        return [self._moment(kinds.READY, process)]

    def ahead_of(self, effect: object) -> list[Moment]:
        """The moments of what a process is told, just before it is."""
        if isinstance(effect, effects.Respond):
            return self._answered(effect)
        if isinstance(effect, effects.SignalProcess) and (effect.process, effect.signal) == (facts.RUNTIME, "SIGTERM"):
            return [self._moment(kinds.SHUTDOWN, facts.RUNTIME)]
        return []

    def behind(self, effect: object) -> list[Moment]:
        """The moments of what has been done to processes."""
        if isinstance(effect, effects.SpawnProcess):
            process = name_of(effect.process)
            self._was_ready.discard(process)
            return [self._moment(kinds.INIT, process)]
        if isinstance(effect, effects.Freeze | effects.Thaw):
            return [self._moment(kinds.FREEZE if isinstance(effect, effects.Freeze) else kinds.THAW)]
        return []

    def of_telemetry(self, post: effects.PostTelemetry) -> Moment:
        return self._moment(kinds.TELEMETRY, post.subscriber)

    def gives_credentials(self, effect: effects.Respond) -> Moment | None:
        """The moment of an answer with credentials."""
        if effect.exchange not in self._credentials:
            return None
        self._credentials.discard(effect.exchange)
        return self._moment(kinds.CREDENTIALS) if effect.status == 200 else None

    def _moment(self, name: str, process: str = "") -> Moment:
        return Moment(name, process, self.invocation)

    def _requested(self, fact: facts.HttpRequested) -> Moment | None:
        process = self._asks_for_event(fact)
        if process:
            self._asked[fact.exchange] = (process, _GIVEN_AN_EVENT)
            return self._moment(kinds.NEXT, process) if process in self._was_ready else None
        if fact.path == extensions_api.REGISTER:
            name = fact.headers.get(extensions_api.NAME.lower(), "")
            self._asked[fact.exchange] = (name, kinds.REGISTERED)
        elif fact.path in (telemetry_api.PATH, logs_api.PATH):
            self._asked[fact.exchange] = (self._caller(fact), kinds.SUBSCRIBED)
        elif fact.path == credentials_api.PATH:
            self._credentials.add(fact.exchange)
        elif fact.path.startswith(runtime_api.INVOCATION) and fact.path.endswith(_RESULTS):
            self._asked[fact.exchange] = (facts.RUNTIME, kinds.RESPONSE)
        return None

    def _asks_for_event(self, fact: facts.Fact) -> str:
        """The process that asks for its next event, or nothing."""
        if not isinstance(fact, facts.HttpRequested):
            return ""
        if fact.path == runtime_api.NEXT:
            return facts.RUNTIME
        return self._caller(fact) if fact.path == extensions_api.NEXT else ""

    def _caller(self, fact: facts.HttpRequested) -> str:
        return self._names.get(fact.headers.get(extensions_api.IDENTIFIER.lower(), ""), "")

    def _answered(self, effect: effects.Respond) -> list[Moment]:
        process, asked = self._asked.pop(effect.exchange, ("", ""))
        if not asked or not 200 <= effect.status < 300:
            return []
        if asked == _GIVEN_AN_EVENT:
            return self._event_given(process, effect)
        if asked == kinds.REGISTERED:
            self._names[_header(effect, extensions_api.IDENTIFIER)] = process
        elif asked == kinds.RESPONSE:
            process = ""
        return [self._moment(asked, process)]

    def _event_given(self, process: str, effect: effects.Respond) -> list[Moment]:
        if process == facts.RUNTIME:
            request_id = _header(effect, runtime_api.REQUEST_ID)
            is_new, self._last_request_id = request_id != self._last_request_id, request_id
            return [self._moment(kinds.INVOKE)] if is_new else []
        event = jsontext.loads(effect.body.decode())
        is_last = isinstance(event, dict) and event.get("eventType") == extensions_api.SHUTDOWN
        return [self._moment(kinds.SHUTDOWN, process)] if is_last else []


def name_of(process: str) -> str:
    """The name under which people know a process: ``runtime``, or the extension's."""
    return process.removeprefix(facts.extension_process(""))


def process_of(name: str) -> str:
    """The machine's name for it."""
    return name if name == facts.RUNTIME else facts.extension_process(name)


def _header(effect: effects.Respond, name: str) -> str:
    return next((value for key, value in effect.headers if key.lower() == name.lower()), "")
