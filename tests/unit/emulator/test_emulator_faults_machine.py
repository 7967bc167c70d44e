"""A machine in whose environment things go wrong: at which moment which effects are added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from support.machine_world import START_NS, Ids, World, config, ext
from tailrace.emulator.faults import effects as faulty
from tailrace.emulator.faults.credentials import expired
from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.faults.machine import FaultyMachine
from tailrace.emulator.faults.plan import FaultPlan
from tailrace.emulator.machine import effects as fx
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.environment import Environment
from tailrace.emulator.machine.facts import RUNTIME

E = TypeVar("E")
MS = 1_000_000


def world(*faults: Fault, names: tuple[str, ...] = ("a",), seed: int = 0, **changes: Any) -> World:
    made = World(*names, **changes)
    machine = Environment(config(*names, **changes), Ids(), "127.0.0.1:9001")
    made.machine = FaultyMachine(machine, FaultPlan(faults, seed))  # type: ignore[assignment]  # handles the same facts
    return made


def found(kind: type[E], effects: list[Any]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def kills(effects: list[Any]) -> list[tuple[str, str]]:
    return [(e.process, e.signal) for e in found(fx.SignalProcess, effects) if e.signal in ("SIGKILL", "SIGSEGV")]


def kill(at: str, process: str = "a", **more: Any) -> Fault:
    return Fault("kill", process=process, at=at, **more)


def test_a_process_is_killed_as_soon_as_it_has_been_started() -> None:
    w = world(kill("init:0"))
    w.feed(facts.InitRequested())

    assert kills(w.last) == [(ext("a"), "SIGKILL")]
    reports = found(faulty.ReportFault, w.last)
    assert [(report.process, report.invocation) for report in reports] == [("a", 0)]


def test_when_it_has_registered_subscribed_and_is_ready() -> None:
    w = world(kill("registered"), kill("subscribed"), kill("ready"))
    w.feed(facts.InitRequested())
    w.register("a", "INVOKE", "SHUTDOWN")
    assert kills(w.last) == [(ext("a"), "SIGKILL")]
    w.subscribe("a")
    assert kills(w.last) == [(ext("a"), "SIGKILL")]
    w.extension_next("a")
    assert kills(w.last) == [(ext("a"), "SIGKILL")]


def test_on_the_second_invocation_and_after_its_response() -> None:
    w = world(kill("invoke:2"), kill("response:2", RUNTIME, signal="SIGSEGV"))
    w.cold_start()
    w.run_invocation()
    assert kills(w.effects) == []
    request_id = w.invoke()
    assert kills(w.last) == [(ext("a"), "SIGKILL")]
    w.respond(request_id)
    assert kills(w.last) == [(RUNTIME, "SIGSEGV")]


def test_one_that_is_killed_before_its_next_is_never_heard() -> None:
    w = world(kill("next:1"))
    w.cold_start()
    request_id = w.invoke()
    w.respond(request_id)
    w.runtime_next()
    w.extension_next("a")

    assert kills(w.last) == [(ext("a"), "SIGKILL")]
    assert w.reports() == []
    w.exit(ext("a"), None, "SIGKILL")
    assert [report.error_type for report in w.reports()] == ["Extension.Crash"]


def test_at_shutdown_each_process_has_its_own_moment() -> None:
    w = world(kill("shutdown"), kill("shutdown", RUNTIME, signal="SIGSEGV"))
    w.cold_start()
    w.shut_down()
    assert kills(w.last) == [(RUNTIME, "SIGSEGV")]
    w.exit(RUNTIME, None, "SIGSEGV")
    assert (ext("a"), "SIGKILL") in kills(w.last)


def test_while_it_is_frozen_and_at_the_thaw() -> None:
    w = world(kill("freeze:1"), kill("thaw:2", RUNTIME))
    w.cold_start()
    w.run_invocation()
    assert kills(w.last) == [(ext("a"), "SIGKILL")]
    w.invoke()
    assert (RUNTIME, "SIGKILL") in kills(w.last)


def test_during_a_delivery_the_batch_is_cut_in_the_middle() -> None:
    w = world(kill("telemetry"))
    w.cold_start(subscribe=("a",))
    w.advance(1000)
    w.invoke()
    w.advance(1000)

    (cut,) = found(faulty.SignalDuringPost, w.effects)
    assert (cut.signal.process, cut.signal.signal, cut.signal.generation) == (ext("a"), "SIGKILL", 1)
    assert not any(post.delivery == cut.post.delivery for post in w.posts())


def test_deliveries_go_wrong_in_turn_and_only_those_of_the_named_subscriber() -> None:
    w = world(Fault("telemetry-5xx", process="a", count=2), names=("a", "b"), timeout_s=60.0)
    w.cold_start(subscribe=("a", "b"))
    w.invoke()
    w.advance(1000)
    first = found(faulty.PostTelemetryBadly, w.effects)
    w.feed(facts.TelemetryAnswered(first[0].post.delivery, 503))
    w.advance(200)
    second = found(faulty.PostTelemetryBadly, w.effects)[1:]
    w.feed(facts.TelemetryAnswered(second[0].post.delivery, 503))
    w.advance(400)

    assert first[0].post.event_ids == second[0].post.event_ids
    assert [post.event_ids for post in w.posts("a")][:1] == [first[0].post.event_ids]
    assert len(w.posts("b")) == 1


def test_a_paused_extension_stands_still_through_a_thaw_until_its_time_is_over() -> None:
    w = world(Fault("subscriber-pause", process="a", at="response:1", duration_ms=500))
    w.cold_start()
    request_id = w.invoke()
    w.respond(request_id)
    assert w.signals()[-1] == (ext("a"), "SIGSTOP")
    w.feed(facts.FreezeRequested())
    w.feed(facts.ThawRequested())
    assert w.signals()[-2:] == [(ext("a"), "SIGSTOP")] * 2
    w.advance(500)
    assert w.signals()[-1] == (ext("a"), "SIGCONT")


def test_a_pause_that_is_over_while_the_environment_is_frozen_ends_at_the_thaw() -> None:
    w = world(Fault("subscriber-pause", process="a", at="response:1", duration_ms=500))
    w.cold_start()
    w.run_invocation()
    w.advance(500)
    signals = w.signals()
    w.invoke()

    assert signals[-1] == (ext("a"), "SIGSTOP")
    assert w.signals() == signals


def test_a_process_that_is_started_anew_is_not_paused() -> None:
    w = world(Fault("subscriber-pause", process="a", at="invoke:1", duration_ms=500))
    w.cold_start()
    w.invoke()
    w.exit(RUNTIME, 1)
    w.exit(ext("a"))
    w.invoke()
    signals = w.signals()
    w.advance(500)

    assert w.signals() == signals


def test_disks_limits_and_connections() -> None:
    w = world(
        Fault("disk-full", at="invoke:1", free_bytes=4096, duration_ms=100),
        Fault("file-size-limit", process="a", at="invoke:1", max_file_bytes=10, duration_ms=200),
        Fault("cut-connections"),
    )
    w.cold_start()
    assert found(faulty.CutConnections, w.last) == [faulty.CutConnections("")]
    w.invoke()
    assert found(faulty.FillDisk, w.last) == [faulty.FillDisk(4096)]
    assert found(faulty.LimitFileSize, w.last) == [faulty.LimitFileSize(ext("a"), 10)]
    w.advance(200)
    assert found(faulty.FreeDisk, w.effects) == [faulty.FreeDisk()]
    assert found(faulty.LimitFileSize, w.effects)[1:] == [faulty.LimitFileSize(ext("a"), None)]


def test_a_fault_that_is_asked_for_happens_at_once_or_at_its_moment() -> None:
    w = world()
    w.cold_start()
    w.invoke()
    w.feed(facts.FaultRequested(Fault("kill", process="a")))
    assert kills(w.last) == [(ext("a"), "SIGKILL")]
    w.feed(facts.FaultRequested(Fault("kill", process=RUNTIME, at="response")))
    assert kills(w.last) == []
    assert w.machine.never_happened == [Fault("kill", process=RUNTIME, at="response")]  # type: ignore[attr-defined]


def test_expired_credentials_have_an_expiration_that_has_passed_or_are_refused() -> None:
    body = b'{"AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2100-01-01T00:00:00Z"}'
    answer = fx.Respond(1, 200, (("Content-Type", "application/json"),), body)
    document: Mapping[str, str] = json.loads(expired(answer, 200, START_NS).body)

    assert document["Expiration"] < "2026-11-19"
    assert document["Token"] == "T"
    assert expired(answer, 401, START_NS).status == 401


def test_without_faults_every_effect_is_that_of_the_machine_inside() -> None:
    plain, faulted = World("a"), world()
    for each in (plain, faulted):
        each.cold_start(subscribe=("a",))
        each.run_invocation()
        each.advance(3000)
        each.shut_down()
        each.die_on_signals()

    assert faulted.effects == plain.effects
