"""Every fact in every state, and facts in random order: nothing raises, and what must hold, holds."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.machine_world import World, ext
from tailrace.emulator.function import Invocation
from tailrace.emulator.machine import effects as fx
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.facts import RUNTIME
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import credentials_api, extensions_api, logs_api, metadata_api, runtime_api, telemetry_api
from tailrace.protocol.platform_events import problems_of

REQUEST = "10000000-0000-4000-8000-000000000001"


def cold() -> World:
    return World("a")


def started() -> World:
    world = cold()
    world.feed(facts.InitRequested())
    return world


def registered() -> World:
    world = started()
    world.register("a", "INVOKE", "SHUTDOWN")
    world.subscribe("a", timeout_ms=25)
    return world


def waiting_for_the_runtime() -> World:
    world = registered()
    world.extension_next("a")
    return world


def idle() -> World:
    world = waiting_for_the_runtime()
    world.runtime_next()
    return world


def invoking() -> World:
    world = idle()
    world.invoke()
    return world


def held() -> World:
    """Frozen by hand in the middle of an invocation."""
    world = invoking()
    world.feed(facts.FreezeRequested())
    return world


def answered() -> World:
    world = invoking()
    world.respond(REQUEST)
    return world


def waiting_for_the_extension() -> World:
    world = answered()
    world.runtime_next()
    return world


def resetting() -> World:
    world = invoking()
    world.exit(RUNTIME, 1)
    return world


def inner_init() -> World:
    world = resetting()
    world.exit(ext("a"))
    world.invoke()
    return world


def shutting_down() -> World:
    world = idle()
    world.shut_down()
    return world


def out_of_memory() -> World:
    world = invoking()
    world.feed(facts.MemoryLimitExceeded(2**27, killed_by_kernel=False))
    return world


def failed_while_idle() -> World:
    world = idle()
    world.exit(RUNTIME, 1)
    return world


def provisioned() -> World:
    world = World("a", policy=Policy(initialization_type="provisioned-concurrency", container_credentials=True))
    world.feed(facts.InitRequested())
    return world


def disabled() -> World:
    world = World("a", extensions_disabled=True)
    world.feed(facts.InitRequested())
    world.runtime_next()
    return world


def of_one_tenant() -> World:
    world = World(tenant_isolation=True)
    world.feed(facts.InitRequested())
    world.runtime_next()
    world.invoke(tenant_id="t")
    return world


def ended() -> World:
    world = cold()
    world.shut_down()
    return world


STATES: list[Callable[[], World]] = [
    cold,
    started,
    registered,
    waiting_for_the_runtime,
    idle,
    invoking,
    held,
    answered,
    waiting_for_the_extension,
    resetting,
    inner_init,
    shutting_down,
    out_of_memory,
    failed_while_idle,
    provisioned,
    disabled,
    of_one_tenant,
    ended,
]


def http_facts(identifier: str) -> list[facts.Fact]:
    known = {"lambda-extension-identifier": identifier, "lambda-extension-function-error-type": "Extension.X"}
    name = {"lambda-extension-name": "a"}
    subscription = telemetry_api.Subscription("2025-01-29", ("platform",), "http://sandbox:80").body()
    over_tcp = telemetry_api.Subscription("2025-01-29", ("platform",), "", protocol=telemetry_api.TCP, port=80).body()
    requests: list[tuple[str, str, dict[str, str], bytes]] = [
        ("GET", runtime_api.PING, {}, b""),
        ("GET", runtime_api.NEXT, {}, b""),
        ("POST", runtime_api.response_path(REQUEST), {}, b"1"),
        ("POST", runtime_api.error_path(REQUEST), {}, b"1"),
        ("POST", runtime_api.INIT_ERROR, {}, b"1"),
        ("POST", extensions_api.REGISTER, name, b'{"events":["INVOKE","SHUTDOWN"]}'),
        ("POST", extensions_api.REGISTER, {"lambda-extension-name": "inner"}, b'{"events":["INVOKE"]}'),
        ("GET", extensions_api.NEXT, known, b""),
        ("POST", extensions_api.INIT_ERROR, known, b"{}"),
        ("POST", extensions_api.EXIT_ERROR, known, b"not json"),
        ("PUT", telemetry_api.PATH, known, subscription),
        ("PUT", telemetry_api.PATH, known, b"nope"),
        ("PUT", logs_api.PATH, known, b""),
        (
            "PUT",
            logs_api.PATH,
            known,
            b'{"types":["platform"],"destination":{"protocol":"HTTP","URI":"http://sandbox:80"}}',
        ),
        ("PUT", telemetry_api.PATH, known, over_tcp),
        ("BREW", "/coffee", {}, b""),
        ("DELETE", runtime_api.NEXT, {}, b""),
        ("GET", metadata_api.PATH, {"authorization": "Bearer x"}, b""),
        ("POST", metadata_api.PATH, {}, b""),
        ("GET", credentials_api.PATH, {"authorization": "x"}, b""),
        ("GET", credentials_api.PATH, {}, b""),
    ]
    return [facts.HttpRequested(900 + at, *request) for at, request in enumerate(requests)]


def all_facts(identifier: str) -> list[facts.Fact]:
    timers = [
        "init-deadline",
        "invoke-deadline",
        "shutdown-runtime",
        "shutdown-drain",
        "shutdown-deadline",
        "telemetry-flush:a",
        "telemetry-retry:a",
        "telemetry-attempt:a",
        "unknown",
    ]
    ends: list[facts.Fact] = [
        facts.ProcessExited(process, generation, code, signal)
        for process in (RUNTIME, ext("a"), ext("stranger"))
        for generation in (0, 1, 2)
        for code, signal in ((0, None), (None, "SIGKILL"))
    ]
    return [
        facts.InitRequested(),
        facts.InvokeRequested(Invocation("20000000-0000-4000-8000-000000000000", b"{}")),
        facts.InvokeRequested(Invocation("20000000-0000-4000-8000-000000000001", b"{}", tenant_id="other")),
        facts.ShutdownRequested(),
        facts.HttpAbandoned(1),
        facts.HttpAbandoned(77),
        facts.ProcessNotSpawned(RUNTIME, 1, "ENOENT"),
        facts.ProcessNotSpawned(ext("a"), 1, "EACCES"),
        facts.LineWritten(RUNTIME, 1, "hello"),
        facts.LineWritten(ext("a"), 1, ""),
        facts.LinesWritten(RUNTIME, 1, ("one", "", "{}")),
        facts.SubscriberConnected(1),
        facts.SubscriberConnected(1, "refused"),
        facts.TelemetryAnswered(1, 200),
        facts.TelemetryAnswered(1, 0, "refused"),
        facts.MemoryMeasured(1),
        facts.MemoryLimitExceeded(2**27, False),
        facts.MemoryLimitExceeded(2**27, True),
        facts.FreezeRequested(),
        facts.ThawRequested(),
        *[facts.TimerFired(timer) for timer in timers],
        *ends,
        *http_facts(identifier),
    ]


N_FACTS = len(all_facts(""))


@pytest.mark.parametrize("state", STATES, ids=lambda state: str(state.__name__))
@pytest.mark.parametrize("at", range(N_FACTS))
def test_every_fact_in_every_state_is_taken(state: Callable[[], World], at: int) -> None:
    world = state()
    fact = all_facts(world.identifiers.get("a", REQUEST))[at]
    for effect in world.feed(fact):
        assert isinstance(effect, fx.Effect)
    if isinstance(fact, facts.HttpRequested) and fact.path not in (runtime_api.NEXT, extensions_api.NEXT):
        assert len([effect for effect in world.last if isinstance(effect, fx.Respond)]) >= 1
    check(world)
    finish(world)


def finish(world: World) -> None:
    """From anywhere, a shutdown ends the environment, and every invoker has its answer."""
    world.shut_down()
    for _ in range(20):
        if world.machine.phase == "ended":
            break
        running = living(world)
        for process, generation in running:
            world.feed(facts.ProcessExited(process, generation, 0, None))
        world.advance(2000)
    assert world.machine.phase == "ended"
    asked = {effect.answer.request_id for effect in world.of(fx.AnswerInvoker)}
    assert asked == {report.request_id for report in world.reports()}
    assert sum(isinstance(effect, fx.EndEnvironment) for effect in world.effects) == 1
    check(world)
    check_nothing_follows_the_end(world)


def check_nothing_follows_the_end(world: World) -> None:
    """Whoever still asks is answered, and that is all."""
    identifier = world.identifiers.get("a", REQUEST)
    for fact in all_facts(identifier):
        for effect in world.machine.handle(fact, world.now_ns):
            assert isinstance(effect, fx.Respond | fx.AnswerInvoker | fx.CloseInvocation)


def living(world: World) -> list[tuple[str, int]]:
    return [(spawn.process, spawn.generation) for spawn in world.of(fx.SpawnProcess)]


def check(world: World) -> None:
    """What must hold of all effects so far."""
    exchanges = Counter(effect.exchange for effect in world.of(fx.Respond))
    assert max(exchanges.values(), default=0) <= 1
    answers = Counter(effect.answer.request_id for effect in world.of(fx.AnswerInvoker))
    closes = Counter(effect.report.request_id for effect in world.of(fx.CloseInvocation))
    assert max(answers.values(), default=0) <= 1
    assert max(closes.values(), default=0) <= 1
    assert set(closes) <= set(answers)
    check_order(world)
    check_deliveries(world)
    for event in world.published():
        assert problems_of(event) == []


def check_order(world: World) -> None:
    """An answer precedes its end; nothing runs while frozen; times and ids of events never go back."""
    frozen = False
    answered_ids: set[str] = set()
    last_id, last_time = 0, ""
    for effect in world.effects:
        if isinstance(effect, fx.Freeze | fx.Thaw):
            assert frozen is isinstance(effect, fx.Thaw)
            frozen = isinstance(effect, fx.Freeze)
        elif isinstance(effect, fx.PostTelemetry | fx.SpawnProcess | fx.SignalProcess):
            assert not frozen
        elif isinstance(effect, fx.SetTimer):
            assert not frozen or effect.timer == "invoke-deadline"  # frozen by hand, where deadlines run on
        elif isinstance(effect, fx.AnswerInvoker):
            answered_ids.add(effect.answer.request_id)
        elif isinstance(effect, fx.CloseInvocation):
            assert effect.report.request_id in answered_ids
        elif isinstance(effect, fx.PublishEvent):
            assert effect.event_id > last_id
            assert str(effect.event["time"]) >= last_time
            last_id, last_time = effect.event_id, str(effect.event["time"])


def check_deliveries(world: World) -> None:
    """Each batch is valid JSON, in order, and begins where the one before ended, unless it is tried again."""
    for name in {post.subscriber for post in world.posts()}:
        batches = [ids for ids, _ in itertools.groupby(post.event_ids for post in world.posts(name))]
        flat = list(itertools.chain.from_iterable(batches))
        assert len(set(flat)) == len(flat)
        assert flat == sorted(flat)
    for post in world.posts():
        assert len(json.loads(post.body)) == len(post.event_ids)


class Driver:
    """Carries effects out as far as a random walk needs: what is in flight, what runs, what was asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.in_flight: dict[str, int] = {}
        self.seen = 0

    def look(self) -> None:
        for effect in self.world.effects[self.seen :]:
            if isinstance(effect, fx.PostTelemetry):
                assert effect.subscriber not in self.in_flight
                self.in_flight[effect.subscriber] = effect.delivery
            elif isinstance(effect, fx.AbandonTelemetry):
                self.in_flight = {name: at for name, at in self.in_flight.items() if at != effect.delivery}
        self.seen = len(self.world.effects)

    def do(self, action: tuple[str, Any]) -> None:
        kind, value = action
        getattr(self, f"_{kind}")(value)
        self.look()

    def _advance(self, ms: int) -> None:
        self.world.advance(ms)

    def _invoke(self, tenant_id: str) -> None:
        self.world.invoke(tenant_id=tenant_id)

    def _line(self, process: str) -> None:
        self.world.line("x" * 300, process)

    def _memory(self, n_bytes: int) -> None:
        self.world.feed(facts.MemoryMeasured(n_bytes))

    def _freeze(self, stays: bool) -> None:
        self.world.feed(facts.FreezeRequested())
        if not stays:
            self.world.feed(facts.ThawRequested())

    def _out_of_memory(self, killed_by_kernel: bool) -> None:
        self.world.feed(facts.MemoryLimitExceeded(2**27, killed_by_kernel))

    def _http(self, at: int) -> None:
        world = self.world
        identifier = world.identifiers.get("a", REQUEST)
        fact = http_facts(identifier)[at]
        assert isinstance(fact, facts.HttpRequested)
        request_id = world.answers()[-1].request_id if world.answers() and at % 2 else REQUEST
        current = [effect.text for effect in world.of(fx.WriteLog) if effect.text.startswith("START")]
        if current:
            request_id = current[-1].split()[2]
        path = fact.path.replace(REQUEST, request_id)
        exchange = world.http(fact.method, path, fact.headers, fact.body)
        answer = world.responses.get(exchange)
        assert answer is not None or path in (runtime_api.NEXT, extensions_api.NEXT)
        if answer is not None and fact.headers.get("lambda-extension-name") == "a" and answer.status == 200:
            world.identifiers["a"] = dict(answer.headers)[extensions_api.IDENTIFIER]

    def _come_up(self, _value: object) -> None:
        """What processes do that mean well: register, subscribe, call next."""
        world = self.world
        world.feed(facts.InitRequested())
        if world.register("a", "INVOKE", "SHUTDOWN").status == 200:
            world.subscribe("a", timeout_ms=25)
        if "a" in world.identifiers:
            world.extension_next("a")
        world.runtime_next()

    def _work(self, body: bytes) -> None:
        """Serve the invocation under way, if there is one."""
        self._advance(7)
        starts = [effect.text for effect in self.world.of(fx.WriteLog) if effect.text.startswith("START")]
        if starts:
            self.world.respond(starts[-1].split()[2], body)
            self.world.runtime_next()
        if "a" in self.world.identifiers:
            self.world.extension_next("a")

    def _exit(self, process: str) -> None:
        self.world.exit(process, 1)

    def _telemetry(self, status: int) -> None:
        for name, delivery in list(self.in_flight.items()):
            del self.in_flight[name]
            self.world.feed(facts.TelemetryAnswered(delivery, status))


actions = st.one_of(
    st.tuples(st.just("http"), st.sampled_from([1, 1, 2, 3, 5, 7, 7, 10, *range(len(http_facts("")))])),
    st.tuples(st.just("advance"), st.sampled_from([1, 25, 100, 700, 3000, 10_000])),
    st.tuples(st.just("invoke"), st.sampled_from(["t", "t", "other", ""])),
    st.tuples(st.just("line"), st.sampled_from([RUNTIME, ext("a")])),
    st.tuples(st.just("memory"), st.integers(min_value=0, max_value=10**9)),
    st.tuples(st.just("out_of_memory"), st.booleans()),
    st.tuples(st.just("freeze"), st.booleans()),
    st.tuples(st.just("exit"), st.sampled_from([RUNTIME, ext("a"), ext("stranger")])),
    st.tuples(st.just("telemetry"), st.sampled_from([200, 500, 0])),
    st.tuples(st.just("come_up"), st.none()),
    st.tuples(st.just("come_up"), st.none()),
    st.tuples(st.just("work"), st.sampled_from([b"", b'{"ok":true}'])),
    st.tuples(st.just("work"), st.sampled_from([b"", b'{"ok":true}'])),
)
policies = st.builds(
    Policy,
    extension_error_ends_phase=st.booleans(),
    idle_crash_fails_next_invocation=st.booleans(),
    initialization_type=st.sampled_from(["on-demand", "provisioned-concurrency"]),
    container_credentials=st.booleans(),
    bill_suppressed_init=st.booleans(),
    early_init_in_first_report=st.booleans(),
    metadata_token_survives_resets=st.booleans(),
    legacy_fault_lines=st.booleans(),
    handled_error_status=st.sampled_from(["success", "error"]),
    shutdown_runtime_share=st.sampled_from([0.0, 0.3, 1.0]),
    telemetry_max_buffered_bytes=st.sampled_from([1000, 16 * 1_048_576]),
)

functions = st.fixed_dictionaries(
    {
        "freeze": st.booleans(),
        "log_format": st.sampled_from(["Text", "JSON"]),
        "tenant_isolation": st.booleans(),
        "extensions_disabled": st.sampled_from([False, False, True]),
    }
)


@settings(max_examples=300, deadline=None)
@given(st.lists(actions, min_size=20, max_size=60), policies, functions)
def test_whatever_happens_the_promises_hold(
    walk: list[tuple[str, Any]], policy: Policy, function: dict[str, Any]
) -> None:
    world = World("a", policy=policy, **function)
    driver = Driver(world)
    for action in walk:
        driver.do(action)
    check(world)
    finish(world)
    invoked = sum(kind == "invoke" for kind, _ in walk)
    assert len(world.reports()) == invoked
