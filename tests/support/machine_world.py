"""A world around the machine: a clock, ids, and what its effects have done so far. No sockets, no processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from tailrace.emulator.function import ExtensionFile, FunctionConfig, Invocation
from tailrace.emulator.machine import effects as fx
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.environment import Environment
from tailrace.emulator.machine.facts import RUNTIME, extension_process
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import extensions_api, runtime_api, telemetry_api

START_NS = 1_795_000_000_000_000_000
MS = 1_000_000
E = TypeVar("E")


def config(*extensions: str, **changes: Any) -> FunctionConfig:
    files = tuple(ExtensionFile(name, Path("/opt/extensions") / name) for name in extensions)
    values: dict[str, Any] = {
        "name": "billing",
        "handler": "app.run",
        "code_dir": Path("/code"),
        "runtime_command": ("/code/bootstrap",),
        "runtime_name": "python3.13",
        "execution_env": "AWS_Lambda_python3.13",
        "extensions": files,
        "policy": Policy(freeze_after_ms=0),
    }
    return FunctionConfig(**values | changes)


class Ids:
    """UUIDs that count up."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"00000000-0000-4000-8000-{self.count:012x}"


class World:
    """Feeds facts, keeps every effect, and knows the answers of the exchanges."""

    def __init__(self, *extensions: str, policy: Policy | None = None, **changes: Any) -> None:
        self.config = config(*extensions, **changes)
        self.machine = Environment(self.config, Ids(), "127.0.0.1:9001", policy)
        self.now_ns = START_NS
        self.effects: list[fx.Effect] = []
        self.last: list[fx.Effect] = []
        self.responses: dict[int, fx.Respond] = {}
        self.identifiers: dict[str, str] = {}
        self.timers: dict[str, int] = {}
        self.frozen = False
        self.deliver_well = False
        self.listening: set[int] | None = set()
        self._exchanges = 0
        self._requests = 0
        self._generation = 0

    # feeding

    def feed(self, fact: facts.Fact) -> list[fx.Effect]:
        self.last = self.machine.handle(fact, self.now_ns)
        self.effects += self.last
        answers: list[facts.Fact] = []
        for effect in self.last:
            if isinstance(effect, fx.Respond):
                self.responses[effect.exchange] = effect
            elif isinstance(effect, fx.SpawnProcess):
                self._generation = effect.generation
            elif isinstance(effect, fx.SetTimer):
                self.timers[effect.timer] = effect.at_ns
            elif isinstance(effect, fx.CancelTimer):
                self.timers.pop(effect.timer, None)
            elif isinstance(effect, fx.Freeze | fx.Thaw):
                self.frozen = isinstance(effect, fx.Freeze)
            elif isinstance(effect, fx.PostTelemetry) and self.deliver_well:
                answers.append(facts.TelemetryAnswered(effect.delivery, 200))
            elif isinstance(effect, fx.ConnectSubscriber) and self.listening is not None:
                error = "" if effect.port in self.listening else "connection refused"
                answers.append(facts.SubscriberConnected(effect.connection, error))
        last = self.last
        for answer in answers:
            last = last + self.feed(answer)
        self.last = last
        return last

    def advance(self, ms: float) -> None:
        """Let time pass, firing timers in order as it does."""
        target = self.now_ns + int(ms * MS)
        while self.timers:
            timer, at_ns = min(self.timers.items(), key=lambda item: item[1])
            if at_ns > target:
                break
            self.now_ns = max(at_ns, self.now_ns)
            del self.timers[timer]
            self.feed(facts.TimerFired(timer))
        self.now_ns = target

    def fire(self, timer: str) -> list[fx.Effect]:
        """Let time pass up to one timer, firing those before it."""
        self.advance((self.timers[timer] - self.now_ns) / MS)
        return self.last

    def http(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", **more: Any
    ) -> int:
        """Send a request; its exchange."""
        self._exchanges += 1
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        self.feed(facts.HttpRequested(self._exchanges, method, path, lower, body, **more))
        return self._exchanges

    def reply(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> fx.Respond:
        return self.responses[self.http(method, path, headers, body)]

    # the runtime

    def runtime_next(self) -> int:
        return self.http("GET", runtime_api.NEXT)

    def respond(self, request_id: str, body: bytes = b'{"ok":true}', headers: Mapping[str, str] | None = None) -> int:
        path = runtime_api.response_path(request_id)
        return self.responses[
            self.http("POST", path, {"Content-Type": "application/json", **(headers or {})}, body)
        ].status

    def fail_handler(self, request_id: str, body: bytes = b'{"errorType":"E"}', error_type: str = "") -> int:
        headers = {runtime_api.ERROR_TYPE: error_type} if error_type else {}
        return self.responses[self.http("POST", runtime_api.error_path(request_id), headers, body)].status

    def line(self, text: str, process: str = RUNTIME) -> None:
        self.feed(facts.LineWritten(process, self._generation, text))

    # extensions

    def register(self, name: str, *events: str) -> fx.Respond:
        headers, body = extensions_api.register_request(name, events)
        found = self.reply("POST", extensions_api.REGISTER, dict(headers), body)
        identifier = dict(found.headers).get(extensions_api.IDENTIFIER)
        if identifier:
            self.identifiers[name] = identifier
        return found

    def extension_next(self, name: str) -> int:
        return self.http("GET", extensions_api.NEXT, {extensions_api.IDENTIFIER: self.identifiers[name]})

    def subscribe(self, name: str, *types: str, version: str = "2025-01-29", **settings: Any) -> fx.Respond:
        wanted = telemetry_api.Subscription(
            version,
            types or ("platform", "function", "extension"),
            f"http://sandbox.localdomain:4243/{name}",
            **settings,
        )
        identifier = {extensions_api.IDENTIFIER: self.identifiers[name]}
        return self.reply("PUT", telemetry_api.PATH, identifier, wanted.body())

    def event(self, exchange: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.responses[exchange].body)
        return found

    # from outside

    def invoke(self, payload: bytes = b"{}", **more: Any) -> str:
        self._requests += 1
        request_id = f"10000000-0000-4000-8000-{self._requests:012x}"
        self.feed(facts.InvokeRequested(Invocation(request_id, payload, **more)))
        return request_id

    def shut_down(self) -> list[fx.Effect]:
        return self.feed(facts.ShutdownRequested())

    def exit(self, process: str, code: int | None = 0, signal: str | None = None) -> list[fx.Effect]:
        return self.feed(facts.ProcessExited(process, self._generation, code, signal))

    # whole stretches

    def cold_start(self, *, subscribe: tuple[str, ...] = (), events: tuple[str, ...] = ("INVOKE", "SHUTDOWN")) -> None:
        """Init with every extension registered for `events` and ready, then the runtime."""
        self.feed(facts.InitRequested())
        self.come_up(subscribe=subscribe, events=events)

    def come_up(self, *, subscribe: tuple[str, ...] = (), events: tuple[str, ...] = ("INVOKE", "SHUTDOWN")) -> None:
        for file in self.config.extensions:
            self.register(file.name, *events)
            if file.name in subscribe:
                assert self.subscribe(file.name).status == 200
            self.extension_next(file.name)
        self.runtime_next()

    def run_invocation(self, body: bytes = b'{"ok":true}', events: tuple[str, ...] = ("INVOKE",)) -> str:
        request_id = self.invoke()
        self.finish(request_id, body, events)
        return request_id

    def finish(self, request_id: str, body: bytes = b'{"ok":true}', events: tuple[str, ...] = ("INVOKE",)) -> None:
        assert self.respond(request_id, body) == 202
        self.runtime_next()
        if "INVOKE" in events:
            for file in self.config.extensions:
                self.extension_next(file.name)

    def die_on_signals(self) -> None:
        """Every process that was told to end does so."""
        for effect in [effect for effect in self.last if isinstance(effect, fx.SignalProcess)]:
            self.exit(effect.process, None, effect.signal)

    # reading

    def of(self, kind: type[E], effects: list[fx.Effect] | None = None) -> list[E]:
        return [effect for effect in (self.effects if effects is None else effects) if isinstance(effect, kind)]

    def published(self) -> list[Mapping[str, Any]]:
        return [dict(effect.event) for effect in self.of(fx.PublishEvent)]

    def types(self) -> list[str]:
        return [str(event["type"]) for event in self.published()]

    def record(self, type_: str) -> Any:
        """The record of the last event of a type."""
        return [event["record"] for event in self.published() if event["type"] == type_][-1]

    def log(self) -> list[str]:
        return [effect.text for effect in self.of(fx.WriteLog)]

    def answers(self) -> list[Any]:
        return [effect.answer for effect in self.of(fx.AnswerInvoker)]

    def reports(self) -> list[Any]:
        return [effect.report for effect in self.of(fx.CloseInvocation)]

    def posts(self, name: str | None = None) -> list[fx.PostTelemetry]:
        return [post for post in self.of(fx.PostTelemetry) if name in (None, post.subscriber)]

    def spawned(self) -> list[str]:
        return [effect.process for effect in self.of(fx.SpawnProcess)]

    def signals(self) -> list[tuple[str, str]]:
        return [(effect.process, effect.signal) for effect in self.of(fx.SignalProcess)]


def ext(name: str) -> str:
    return extension_process(name)
