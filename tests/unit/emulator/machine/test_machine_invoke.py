"""Invocations: who is answered when, what is refused, what the figures say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.machine_world import World, ext
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import AnswerInvoker, CloseInvocation, Freeze
from tailrace.emulator.machine.facts import RUNTIME
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import extensions_api, runtime_api
from tailrace.protocol.platform_events import problems_of

TRACE = "Root=1-65a1b2c3-0123456789abcdef01234567;Parent=89abcdef01234567;Sampled=1"


def ready(*extensions: str, **changes: Any) -> World:
    world = World(*extensions, **changes)
    world.cold_start()
    return world


def test_the_runtime_gets_the_event_and_its_headers() -> None:
    world = World(timeout_s=5)
    world.feed(facts.InitRequested())
    exchange = world.runtime_next()
    world.advance(1000)
    request_id = world.invoke(b'{"a":1}', trace_header=TRACE, client_context='{"k":"v"}')
    answer = world.responses[exchange]
    assert (answer.status, answer.body) == (200, b'{"a":1}')
    assert dict(answer.headers) == {
        runtime_api.REQUEST_ID: request_id,
        runtime_api.DEADLINE_MS: str(world.now_ns // 1_000_000 + 5000),
        runtime_api.INVOKED_ARN: "arn:aws:lambda:us-east-1:123456789012:function:billing",
        runtime_api.TRACE_ID: TRACE,
        runtime_api.CLIENT_CONTEXT: '{"k":"v"}',
        "Content-Type": "application/json",
    }


def test_a_header_cannot_be_smuggled_in() -> None:
    world = World()
    world.feed(facts.InitRequested())
    exchange = world.runtime_next()
    world.invoke(client_context="a\r\nX-Evil: 1")
    assert dict(world.responses[exchange].headers)["Lambda-Runtime-Client-Context"] == "a  X-Evil: 1"


def test_extensions_get_invoke_without_the_payload() -> None:
    world = World("a", "b")
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE")
    world.register("b", "SHUTDOWN")
    first, second = world.extension_next("a"), world.extension_next("b")
    world.runtime_next()
    request_id = world.invoke(b'{"secret":1}', trace_header=TRACE)
    assert world.event(first) == {
        "eventType": "INVOKE",
        "deadlineMs": world.now_ns // 1_000_000 + 3000,
        "requestId": request_id,
        "invokedFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:billing",
        "tracing": {"type": "X-Amzn-Trace-Id", "value": TRACE},
    }
    assert second not in world.responses


def test_the_invoker_is_answered_before_the_extensions_are_done() -> None:
    world = ready("a")
    request_id = world.invoke()
    world.respond(request_id, b'"result"')
    [answer] = world.answers()
    assert (answer.payload, answer.function_error, answer.content_type) == (b'"result"', "", "application/json")
    world.runtime_next()
    assert not world.reports()
    world.advance(250)
    world.extension_next("a")
    assert world.record("platform.report")["spans"][0]["durationMs"] == 250.0
    assert isinstance(world.last[-1], Freeze)


def test_a_shutdown_only_extension_does_not_delay_an_invocation() -> None:
    world = World("a")
    world.cold_start(events=("SHUTDOWN",))
    world.run_invocation(events=("SHUTDOWN",))
    assert len(world.reports()) == 1


def test_the_figures_of_a_cold_and_a_warm_invocation() -> None:
    world = World()
    world.feed(facts.InitRequested())
    world.advance(80.004)
    world.runtime_next()
    world.feed(facts.MemoryMeasured(10 * 1_048_576))
    world.advance(50)
    request_id = world.invoke()
    world.feed(facts.MemoryMeasured(36 * 1_048_576 + 1))
    world.advance(100)
    world.respond(request_id, b"x" * 57)
    world.advance(33.6)
    world.feed(facts.MemoryMeasured(1))
    world.runtime_next()
    cold = world.reports()[0]
    assert (cold.duration_ms, cold.billed_duration_ms, cold.init_duration_ms) == (133.6, 214, 80.004)
    assert cold.max_memory_used_mb == 37
    assert world.record("platform.runtimeDone")["metrics"] == {"durationMs": 133.6, "producedBytes": 57}
    spans = {span["name"]: span["durationMs"] for span in world.record("platform.runtimeDone")["spans"]}
    assert spans == {"responseLatency": 100.0, "responseDuration": 0.0, "runtimeOverhead": 33.6}
    assert world.log()[-1] == (
        f"REPORT RequestId: {request_id}\tDuration: 133.60 ms\tBilled Duration: 214 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 37 MB\tInit Duration: 80.00 ms\t"
    )
    world.run_invocation()
    warm = world.reports()[1]
    assert (warm.init_duration_ms, warm.billed_duration_ms) == (None, 1)
    assert "initDurationMs" not in world.record("platform.report")["metrics"]


def test_init_may_go_unbilled_as_before_2025() -> None:
    world = World(policy=Policy(bill_init=False))
    world.feed(facts.InitRequested())
    world.advance(80)
    world.runtime_next()
    world.run_invocation()
    assert world.reports()[0].billed_duration_ms == 1


def test_the_response_span_begins_with_the_first_byte() -> None:
    world = ready()
    request_id = world.invoke()
    world.advance(10)
    began = world.now_ns
    world.advance(30)
    world.http("POST", runtime_api.response_path(request_id), {}, b"1", began_ns=began)
    world.runtime_next()
    spans = {span["name"]: span["durationMs"] for span in world.record("platform.runtimeDone")["spans"]}
    assert spans == {"responseLatency": 10.0, "responseDuration": 30.0, "runtimeOverhead": 0.0}


def test_a_log_stream_of_one_invocation() -> None:
    world = ready()
    world.effects.clear()
    request_id = world.invoke(trace_header=TRACE)
    world.line("hello")
    world.respond(request_id)
    world.runtime_next()
    start, line, end, report, xray = world.log()
    assert (start, line, end) == (
        f"START RequestId: {request_id} Version: $LATEST",
        "hello",
        f"END RequestId: {request_id}",
    )
    assert report.startswith(f"REPORT RequestId: {request_id}\tDuration: 0.00 ms\tBilled Duration: 1 ms\t")
    assert xray.startswith("XRAY TraceId: 1-65a1b2c3-0123456789abcdef01234567\tSegmentId: ")


def test_a_second_next_while_running_gets_the_same_event_again() -> None:
    world = ready()
    request_id = world.invoke(b"[1]")
    again = world.responses[world.runtime_next()]
    assert dict(again.headers)["Lambda-Runtime-Aws-Request-Id"] == request_id
    assert again.body == b"[1]"


def test_of_two_pending_next_one_is_woken() -> None:
    world = World()
    world.feed(facts.InitRequested())
    first, second = world.runtime_next(), world.runtime_next()
    request_id = world.invoke()
    assert first in world.responses
    assert second not in world.responses
    world.respond(request_id)
    assert not world.reports()
    world.runtime_next()
    world.invoke()
    assert second in world.responses


def test_a_next_whose_client_left_swallows_no_event() -> None:
    world = World()
    world.feed(facts.InitRequested())
    gone = world.runtime_next()
    world.feed(facts.HttpAbandoned(gone))
    request_id = world.invoke(b"[1]")
    assert gone not in world.responses
    fresh = world.responses[world.runtime_next()]
    assert dict(fresh.headers)["Lambda-Runtime-Aws-Request-Id"] == request_id


def test_an_error_is_answered_verbatim_and_is_a_success_for_the_platform() -> None:
    world = ready()
    request_id = world.invoke()
    assert world.fail_handler(request_id, b"it broke", "Foo.Bar") == 202
    world.runtime_next()
    [answer] = world.answers()
    assert (answer.payload, answer.function_error) == (b"it broke", "Unhandled")
    assert world.record("platform.runtimeDone")["status"] == "success"
    assert "Status" not in world.log()[-1]
    assert world.machine.phase == "idle"


def test_a_handled_error_may_be_an_error_for_the_platform() -> None:
    world = ready(policy=Policy(handled_error_status="error"))
    request_id = world.invoke()
    world.fail_handler(request_id, error_type="Function.Foo")
    world.runtime_next()
    assert world.record("platform.runtimeDone")["errorType"] == "Function.Foo"
    assert world.log()[-1].endswith("Status: error\tError Type: Function.Foo")
    assert world.machine.phase == "idle"


@pytest.mark.parametrize(
    ("headers", "size", "status", "error_type"),
    [
        ({}, 6_291_556, 202, ""),
        ({}, 6_291_557, 413, "Function.ResponseSizeTooLarge"),
        ({runtime_api.RESPONSE_MODE: "Streaming"}, 2, 400, "Runtime.InvalidResponseModeHeader"),
        ({runtime_api.RESPONSE_MODE: "streaming"}, 2, 202, ""),
    ],
)
def test_responses_that_are_not_accepted(headers: dict[str, str], size: int, status: int, error_type: str) -> None:
    world = ready()
    request_id = world.invoke()
    assert world.respond(request_id, b"x" * size, headers) == status
    [answer] = world.answers()
    if error_type:
        assert json.loads(answer.payload)["errorType"] == error_type
        assert answer.function_error == "Unhandled"
    else:
        assert len(answer.payload) == size
    world.runtime_next()
    assert world.reports()[0].error_type == error_type
    assert world.machine.phase == "idle"


def test_a_truncated_response_fails_the_invocation() -> None:
    world = ready()
    request_id = world.invoke()
    world.http("POST", runtime_api.response_path(request_id), {}, b"{", truncated=True)
    assert json.loads(world.answers()[0].payload)["errorType"] == "Runtime.TruncatedResponse"


def test_a_timeout_answers_closes_and_resets() -> None:
    world = ready("a", timeout_s=3)
    world.effects.clear()
    request_id = world.invoke()
    world.line("working")
    world.fire("invoke-deadline")
    [answer] = world.answers()
    assert json.loads(answer.payload) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after 3.00 seconds",
    }
    done = world.record("platform.runtimeDone")
    assert (done["status"], done["metrics"]["producedBytes"]) == ("timeout", 0)
    assert "errorType" not in done
    assert "spans" not in done
    [final] = world.reports()
    assert (final.status, final.duration_ms) == ("timeout", 3000.0)
    assert world.log()[-1].endswith("\tStatus: timeout")
    assert len(world.log()) == 4
    assert world.signals() == [(RUNTIME, "SIGTERM")]
    assert world.machine.phase == "reset"


def test_the_older_style_says_timeout_and_fault_in_lines_of_their_own() -> None:
    world = ready(policy=Policy(legacy_fault_lines=True))
    request_id = world.invoke()
    world.fire("invoke-deadline")
    assert any(line.endswith(f"Z {request_id} Task timed out after 3.00 seconds") for line in world.log())
    world.exit(RUNTIME, None, "SIGKILL")
    second = world.invoke()
    world.exit(RUNTIME, 1)
    lines = world.log()
    at = lines.index(f"RequestId: {second} Error: Runtime exited with error: exit status 1")
    assert lines[at + 1] == "Runtime.ExitError"


def test_an_extension_still_busy_at_the_deadline_is_a_timeout_though_the_invoker_has_its_answer() -> None:
    world = ready("a")
    request_id = world.invoke()
    world.respond(request_id, b'"good"')
    world.runtime_next()
    world.fire("invoke-deadline")
    [answer] = world.answers()
    assert answer.payload == b'"good"'
    assert world.record("platform.runtimeDone")["status"] == "success"
    assert world.reports()[0].status == "timeout"
    assert world.machine.phase == "reset"


@pytest.mark.parametrize(
    ("code", "signal", "message"),
    [
        (0, None, "Runtime exited without providing a reason"),
        (42, None, "Runtime exited with error: exit status 42"),
        (None, "SIGKILL", "Runtime exited with error: signal: killed"),
        (None, "SIGSEGV", "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_a_runtime_crash_is_told_to_the_invoker(code: int | None, signal: str | None, message: str) -> None:
    world = ready()
    request_id = world.invoke()
    world.exit(RUNTIME, code, signal)
    assert json.loads(world.answers()[0].payload) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {request_id} Error: {message}",
    }
    assert world.record("platform.report")["errorType"] == "Runtime.ExitError"
    assert world.machine.phase == "cold"


def test_a_crash_after_the_response_keeps_the_good_answer_and_resets() -> None:
    world = ready()
    request_id = world.invoke()
    world.respond(request_id, b'"good"')
    world.exit(RUNTIME, 1)
    assert [answer.payload for answer in world.answers()] == [b'"good"']
    assert world.record("platform.runtimeDone")["status"] == "error"
    assert world.reports()[0].error_type == "Runtime.ExitError"


@pytest.mark.parametrize(("code", "message"), [(0, "exit code 0"), (1, "exit status 1")])
def test_an_extension_that_ends_is_a_crash_even_with_code_0(code: int, message: str) -> None:
    world = ready("a")
    request_id = world.invoke()
    world.exit(ext("a"), code)
    assert json.loads(world.answers()[0].payload) == {
        "errorType": "Extension.Crash",
        "errorMessage": f"RequestId: {request_id} Error: {message}",
    }
    assert world.signals() == [(RUNTIME, "SIGTERM")]


def test_a_process_that_ended_while_idle_fails_the_next_invocation() -> None:
    world = ready()
    world.exit(RUNTIME, 1)
    assert world.answers() == []
    world.invoke()
    assert json.loads(world.answers()[0].payload)["errorType"] == "Runtime.ExitError"
    assert world.types()[-3:] == ["platform.start", "platform.runtimeDone", "platform.report"]


def test_a_process_that_ended_while_idle_may_reset_at_once() -> None:
    world = ready(policy=Policy(idle_crash_fails_next_invocation=False))
    world.exit(RUNTIME, 1)
    request_id = world.invoke()
    world.runtime_next()
    world.finish(request_id)
    assert world.answers()[0].function_error == ""


def test_a_second_call_waits_for_its_turn() -> None:
    world = ready()
    first = world.invoke()
    second = world.invoke()
    world.finish(first)
    world.finish(second)
    assert [answer.request_id for answer in world.answers()] == [first, second]


def test_answers_come_before_the_end_and_each_once() -> None:
    world = ready("a")
    for _ in range(3):
        world.run_invocation()
    kinds = [type(effect) for effect in world.effects if isinstance(effect, AnswerInvoker | CloseInvocation)]
    assert kinds == [AnswerInvoker, CloseInvocation] * 3


def test_every_event_keeps_its_contract() -> None:
    world = World("a", "b")
    world.cold_start(subscribe=("a",))
    world.run_invocation()
    world.invoke(trace_header=TRACE)
    world.exit(RUNTIME, 1)
    assert world.published()
    for event in world.published():
        assert problems_of(event) == []


def test_a_next_whose_body_was_cut_off_is_refused_and_swallows_no_event() -> None:
    world = World("a")
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE")
    headers = {extensions_api.IDENTIFIER: world.identifiers["a"]}
    for path in (extensions_api.NEXT, runtime_api.NEXT):
        refused = world.responses[world.http("GET", path, headers, b"x", truncated=True)]
        assert (refused.status, json.loads(refused.body)["errorType"]) == (400, "TruncatedHTTPRequest")
    world.extension_next("a")
    waiting = world.runtime_next()
    world.invoke()
    assert world.responses[waiting].status == 200
