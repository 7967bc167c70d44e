"""States of an environment to begin from, and every fact that may come in each of them."""

from __future__ import annotations

from collections.abc import Callable

from support.machine_world import World, ext
from tailrace.emulator.function import Invocation
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.facts import RUNTIME
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import credentials_api, extensions_api, logs_api, metadata_api, runtime_api, telemetry_api

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
