"""Facts in random order: nothing raises, and what must hold, holds."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.machine_promises import check, finish
from support.machine_states import REQUEST, http_facts
from support.machine_world import World, ext
from tailrace.emulator.machine import effects as fx
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.facts import RUNTIME
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import extensions_api, runtime_api


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


@examples(100)
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
