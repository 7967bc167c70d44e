"""Out of memory: the processes are killed, the invoker is told, and the environment is reset."""

from __future__ import annotations

import json

import pytest

from support.machine_world import World, ext
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.facts import RUNTIME
from tailrace.emulator.machine.policy import Policy

OVER = facts.MemoryLimitExceeded(130 * 1_048_576, killed_by_kernel=False)


@pytest.mark.parametrize("error_type", ["Runtime.OutOfMemory", "Runtime.ExitError"])
def test_out_of_memory_has_the_type_that_the_policy_names_and_the_words_of_a_kill(error_type: str) -> None:
    world = World("a", policy=Policy(out_of_memory_error_type=error_type))
    world.cold_start()
    request_id = world.invoke()
    world.feed(facts.MemoryMeasured(100 * 1_048_576))
    world.feed(OVER)
    (answer,) = world.answers()
    assert answer.function_error == "Unhandled"
    assert json.loads(answer.payload) == {
        "errorType": error_type,
        "errorMessage": f"RequestId: {request_id} Error: Runtime exited with error: signal: killed",
    }
    assert world.record("platform.runtimeDone")["errorType"] == error_type
    record = world.record("platform.report")
    assert (record["status"], record["errorType"]) == ("error", error_type)
    assert (record["metrics"]["memorySizeMB"], record["metrics"]["maxMemoryUsedMB"]) == (128, 128)
    assert world.log()[-1].endswith(f"Status: error\tError Type: {error_type}")


def test_out_of_memory_kills_the_runtime_and_tells_the_extension_a_failure() -> None:
    world = World("a")
    world.cold_start()
    world.run_invocation()
    world.invoke()
    waiting = world.extension_next("a")
    world.feed(OVER)
    assert world.signals()[0] == (RUNTIME, "SIGKILL")
    world.exit(RUNTIME, None, "SIGKILL")
    assert world.event(waiting)["shutdownReason"] == "failure"
    assert world.machine.phase == "reset"


def test_what_still_uses_too_much_while_it_shuts_down_is_killed() -> None:
    world = World("a")
    world.cold_start()
    world.invoke()
    world.feed(OVER)
    world.exit(RUNTIME, None, "SIGKILL")
    world.feed(OVER)
    assert world.signals()[-1] == (ext("a"), "SIGKILL")
    world.exit(ext("a"), None, "SIGKILL")
    assert world.machine.phase == "cold"


def test_the_next_invocation_initialises_again_and_its_memory_is_counted_anew() -> None:
    world = World()
    world.cold_start()
    world.invoke()
    world.feed(OVER)
    world.exit(RUNTIME, None, "SIGKILL")
    world.invoke()
    world.come_up()
    world.feed(facts.MemoryMeasured(20 * 1_048_576))
    world.finish("10000000-0000-4000-8000-000000000002")
    assert world.reports()[-1].status == "success"
    assert world.reports()[-1].max_memory_used_mb == 20


def test_the_kernels_kill_is_one_fault_not_two() -> None:
    world = World("a")
    world.cold_start()
    world.invoke()
    world.feed(facts.MemoryLimitExceeded(0, killed_by_kernel=True))
    world.exit(RUNTIME, None, "SIGKILL")
    assert len(world.reports()) == 1
    assert world.reports()[0].error_type == "Runtime.OutOfMemory"


def test_out_of_memory_in_init_is_hidden_and_tried_again_inside_the_invocation() -> None:
    world = World()
    world.feed(facts.InitRequested())
    world.feed(OVER)
    assert world.record("platform.initReport")["errorType"] == "Runtime.OutOfMemory"
    world.exit(RUNTIME, None, "SIGKILL")
    request_id = world.invoke()
    world.come_up()
    world.finish(request_id)
    assert world.reports()[0].status == "success"


def test_out_of_memory_between_invocations_fails_the_next_one() -> None:
    world = World(freeze=False)
    world.cold_start()
    world.run_invocation()
    world.feed(OVER)
    assert world.signals() == [(RUNTIME, "SIGKILL")]
    world.exit(RUNTIME, None, "SIGKILL")
    world.invoke()
    assert world.reports()[-1].error_type == "Runtime.OutOfMemory"
