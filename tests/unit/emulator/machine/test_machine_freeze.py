"""Freezing by hand: processes and telemetry stand still, deadlines do not."""

from __future__ import annotations

from typing import Any

from support.machine_world import World, ext
from tailrace.emulator.machine import effects as fx
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.facts import RUNTIME
from tailrace.emulator.machine.invoke_run import INVOKE_DEADLINE
from tailrace.emulator.machine.policy import Policy


def invoking(**changes: Any) -> tuple[World, str]:
    world = World("a", **changes)
    world.cold_start(subscribe=("a",))
    world.deliver_well = True
    return world, world.invoke()


def is_frozen(world: World) -> bool:
    return world.frozen


def test_in_the_middle_of_an_invocation_telemetry_stands_still_until_the_thaw() -> None:
    world, request_id = invoking(timeout_s=60.0)
    world.feed(facts.FreezeRequested())
    posts = len(world.posts())
    world.line("written just before")
    world.advance(2000)

    assert is_frozen(world)
    assert len(world.posts()) == posts
    world.feed(facts.ThawRequested())
    world.advance(1000)
    assert not is_frozen(world)
    assert b"written just before" in world.posts()[-1].body
    world.finish(request_id)
    assert world.reports()[-1].status == "success"


def test_the_deadline_of_an_invocation_does_not_wait_for_a_thaw() -> None:
    world, request_id = invoking(timeout_s=3.0)
    world.feed(facts.FreezeRequested())
    world.fire(INVOKE_DEADLINE)

    assert (world.reports()[-1].request_id, world.reports()[-1].status) == (request_id, "timeout")
    thaw = next(at for at, effect in enumerate(world.last) if isinstance(effect, fx.Thaw))
    kill = next(at for at, effect in enumerate(world.last) if isinstance(effect, fx.SignalProcess))
    assert thaw < kill


def test_an_invocation_that_closes_while_it_is_frozen_stays_frozen_and_the_next_one_thaws() -> None:
    world, request_id = invoking()
    world.respond(request_id)
    world.extension_next("a")
    world.feed(facts.FreezeRequested())
    freezes = len(world.of(fx.Freeze))
    world.runtime_next()  # it was on its way

    assert is_frozen(world)
    assert len(world.of(fx.Freeze)) == freezes
    assert world.timers == {}
    world.run_invocation()
    assert len(world.reports()) == 2


def test_a_thaw_while_idle_lets_processes_run_until_the_next_invocation_is_done() -> None:
    world, request_id = invoking()
    world.finish(request_id)
    assert is_frozen(world)
    world.feed(facts.ThawRequested())
    assert not is_frozen(world)
    world.run_invocation()
    assert is_frozen(world)


def test_without_freezing_by_the_platform_one_by_hand_lasts_until_the_next_invocation() -> None:
    world, request_id = invoking(freeze=False)
    world.finish(request_id)
    assert not is_frozen(world)
    world.feed(facts.FreezeRequested())
    world.feed(facts.FreezeRequested())
    assert is_frozen(world)
    world.run_invocation()
    assert not is_frozen(world)


def test_an_environment_on_its_way_to_its_end_is_not_held_up() -> None:
    world, _ = invoking()
    world.shut_down()
    world.feed(facts.FreezeRequested())
    assert not is_frozen(world)


def test_a_process_that_dies_while_it_is_frozen_ends_the_invocation_and_the_freeze() -> None:
    world, _ = invoking()
    world.feed(facts.FreezeRequested())
    world.exit(ext("a"), None, "SIGKILL")

    assert not is_frozen(world)
    assert world.reports()[-1].error_type == "Extension.Crash"
    assert (RUNTIME, "SIGTERM") in world.signals() or (RUNTIME, "SIGKILL") in world.signals()


def test_a_process_that_is_due_while_everything_stands_still_starts_with_the_thaw() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.feed(facts.FreezeRequested())
    world.register("a", "INVOKE")
    assert world.spawned() == [ext("a")]
    world.feed(facts.ThawRequested())
    assert world.spawned() == [ext("a"), RUNTIME]
    assert [type(effect).__name__ for effect in world.last[:2]] == ["Thaw", "SpawnProcess"]


def idle_for_a_while(**changes: Any) -> World:
    """An environment that waits two milliseconds before it freezes, its first invocation just closed."""
    world = World("a", policy=Policy(freeze_after_ms=2), **changes)
    world.cold_start(subscribe=("a",))
    world.advance(2)
    world.deliver_well = True
    world.finish(world.invoke())
    return world


def test_a_call_that_comes_soon_neither_freezes_nor_thaws() -> None:
    world = idle_for_a_while()
    freezes, thaws = len(world.of(fx.Freeze)), len(world.of(fx.Thaw))
    world.advance(1)
    world.finish(world.invoke())
    world.advance(1.9)

    assert (len(world.of(fx.Freeze)), len(world.of(fx.Thaw))) == (freezes, thaws)
    world.advance(0.1)
    assert is_frozen(world)


def test_an_idle_environment_that_was_thawed_by_hand_before_its_freeze_runs_on() -> None:
    world = idle_for_a_while()
    world.feed(facts.ThawRequested())
    world.advance(1000)

    assert not is_frozen(world)


def test_a_freeze_by_hand_does_not_wait() -> None:
    world = idle_for_a_while()
    world.feed(facts.FreezeRequested())
    assert is_frozen(world)
    world.advance(2)

    assert len(world.of(fx.Freeze)) == 2
    world.feed(facts.ThawRequested())
    assert not is_frozen(world)


def test_an_end_that_comes_before_the_freeze_takes_its_place() -> None:
    world = idle_for_a_while()
    freezes = len(world.of(fx.Freeze))
    world.shut_down()
    world.advance(5000)

    assert len(world.of(fx.Freeze)) == freezes
