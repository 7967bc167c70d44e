"""The wiring: who we are, what is built, threads that cannot die unseen, and the last words."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tailrace.agent.app import App, Pipeline
from tailrace.agent.assembly import draw, new_environment_id, resource_of
from tailrace.agent.delivering import build_fanout
from tailrace.agent.diagnostics import Diagnostics
from tailrace.agent.lifecycle import Lifecycle
from tailrace.agent.threads import Threads
from tailrace.clock import ManualClock, SystemClock
from tailrace.config.settings import load_settings
from tailrace.model.record import Record
from tailrace.pipeline.fanout import Fanout
from tailrace.pipeline.flush import EndPolicy, FlushSettings
from tailrace.pipeline.intake import Intake
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.progress import Progress
from tailrace.pipeline.surroundings import Surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.clock import Clock

ENVIRON = {
    "AWS_LAMBDA_FUNCTION_NAME": "from-environment",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_REGION": "eu-west-1",
}


class Output:
    """What the agent says."""

    def __init__(self) -> None:
        self.data = b""
        self.diagnostics = Diagnostics(self.write, ManualClock())

    def write(self, data: bytes) -> None:
        self.data += data

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]


def test_the_platforms_own_words_come_before_the_environments() -> None:
    reply = b'{"functionName":"billing","functionVersion":"7","handler":"app.run","accountId":"123456789012"}'
    resource = resource_of(reply, ENVIRON)
    assert resource.function_name == "billing"
    assert resource.function_version == "7"
    assert resource.account_id == "123456789012"
    assert resource.region == "eu-west-1"
    assert resource.memory_mb == 512


@pytest.mark.parametrize("reply", [b"", b"not JSON", b"[]", b'{"functionName":7}', b"\xff", b"[" * 100_000])
def test_an_odd_reply_leaves_the_environments_words(reply: bytes) -> None:
    resource = resource_of(reply, ENVIRON)
    assert (resource.function_name, resource.function_version) == ("from-environment", "$LATEST")


def test_an_environment_id_is_16_hexadecimal_digits_and_never_the_same() -> None:
    ids = {new_environment_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in ids)


def test_draws_lie_from_0_up_to_1() -> None:
    draws = [draw() for _ in range(1000)]
    assert min(draws) >= 0
    assert max(draws) < 1
    assert len(set(draws)) > 990


def fanout_of(destinations: str, output: Output, ledger: Ledger) -> Fanout:
    environ = {**ENVIRON, "TAILRACE_DESTINATIONS": destinations}
    resource = resource_of(b"{}", environ)
    surroundings = Surroundings(resource, SystemClock(), draw, output.diagnostics)
    return build_fanout(environ, load_settings(environ), ledger, surroundings)


def test_each_destination_has_its_row_and_each_bad_one_too(tmp_path: Path) -> None:
    output, ledger = Output(), Ledger()
    fanout = fanout_of(f"file://{tmp_path} nonsense", output, ledger)
    fanout.offer([Record(1, "2026-01-02T03:04:05.678Z", "function", {"type": "function"}, '{"type":"function"}')])
    rows = ledger.snapshot()
    assert rows[f"file://{tmp_path}"].held == 1
    assert rows["TAILRACE_DESTINATIONS, second entry"].dropped == {"bad_configuration": 1}
    (line,) = output.lines()
    assert line["level"] == "error"
    assert line["message"].startswith("TAILRACE_DESTINATIONS, second entry: ")


def test_a_url_with_a_secret_is_never_said_in_full(tmp_path: Path) -> None:
    output, ledger = Output(), Ledger()
    fanout_of("https://user:hunter2@host/x?tailrace-format=hunter3 foo://user:hunter2@host", output, ledger)
    text = output.data.decode() + json.dumps(ledger.line_object())
    assert "hunter2" not in text


def test_a_thread_that_fails_says_so_by_kind_and_without_its_text() -> None:
    output, ended = Output(), threading.Event()

    def fail() -> None:
        try:
            raise KeyError("a secret")
        finally:
            ended.set()

    threads = Threads(output.diagnostics)
    threads.spawn(fail)
    assert ended.wait(10)
    assert wait_for(lambda: output.data != b"")
    assert "KeyError" in output.lines()[0]["message"]
    assert b"secret" not in output.data


def test_a_thread_that_must_go_on_is_started_again() -> None:
    output, lives, ended = Output(), [0], threading.Event()

    def live() -> None:
        lives[0] += 1
        if lives[0] < 3:
            raise MemoryError
        ended.set()

    Threads(output.diagnostics).keep_running(live)
    assert ended.wait(10)
    assert lives == [3]
    assert len(output.lines()) == 1


def wait_for(holds: Any, limit_s: float = 10) -> bool:
    """Whether `holds()` within `limit_s`."""
    pause = threading.Event()
    for _ in range(int(limit_s * 1000)):
        if holds():
            return True
        pause.wait(0.001)
    return False


def app_of(output: Output, pipeline: Pipeline | None = None, clock: Clock | None = None, **more: Any) -> App:
    now = clock or SystemClock()
    return App(
        Lifecycle(EndPolicy(FlushSettings()), telemetry=False),
        listener=None,
        pipeline=pipeline or pipeline_of(now),
        clock=now,
        diagnostics=output.diagnostics,
        **more,
    )


def pipeline_of(clock: Clock, fanout: Fanout | None = None) -> Pipeline:
    ledger, progress = Ledger(), Progress(clock)
    return Pipeline(Intake(ledger, progress, clock), fanout or Fanout([], ledger, clock), progress, ledger)


def test_after_the_ledger_nothing_more_is_said() -> None:
    output = Output()
    app = app_of(output)
    app.handle_event(b'{"eventType":"SHUTDOWN","shutdownReason":"spindown","deadlineMs":0}')
    output.diagnostics("error", "a thread that was late")
    (line,) = output.lines()
    assert line["type"] == "tailrace.ledger"
    assert line["none"]["received"] == 0


def test_a_copy_of_a_snapshot_renews_itself_before_its_first_event_and_only_then() -> None:
    renewed: list[str] = []
    app = app_of(Output(), thawed=lambda: renewed.append("once"))
    for _ in range(3):
        app.handle_event(b'{"eventType":"INVOKE","requestId":"r","deadlineMs":99999999999999}')
    assert renewed == ["once"]


class Clocks:
    """Two readings that can move apart, as under a hypervisor that stops the one and not the other."""

    def __init__(self) -> None:
        self.at_s = [1000.0, 1_700_000_000.0]

    def monotonic_s(self) -> float:
        return self.at_s[0]

    def wall_s(self) -> float:
        return self.at_s[1]


class Thawing(Fanout):
    """Counts how often it is told that the sandbox stood still."""

    thaws = 0

    def thawed(self) -> None:
        self.thaws += 1


def test_a_gap_in_either_clock_means_that_connections_are_not_trusted() -> None:
    clock, ledger = Clocks(), Ledger()
    fanout = Thawing([], ledger, clock)
    app = app_of(Output(), pipeline_of(clock, fanout), clock)
    seen = []
    for monotonic_s, wall_s in ((0.0, 0.0), (1.0, 1.0), (31.0, 31.0), (0.1, 31.0), (5.0, 5.0), (0.0, -90.0)):
        clock.at_s[0] += monotonic_s
        clock.at_s[1] += wall_s
        app.handle_event(b'{"eventType":"INVOKE","requestId":"r","deadlineMs":99999999999999}')
        seen.append(fanout.thaws)
    assert seen == [0, 0, 1, 2, 2, 2]


class Stuck(Progress):
    """The worker never comes to an end."""

    __slots__ = ()

    def wait_quiet(self, timeout_s: float, settle_s: float = 0.0, since_s: float | None = None) -> bool:
        return False


def test_what_the_worker_has_no_time_for_at_the_end_is_lost_by_name_and_counted_once() -> None:
    output, clock, ledger = Output(), SystemClock(), Ledger()
    progress = Stuck(clock)
    intake = Intake(ledger, progress, clock)
    fanout = Fanout([], ledger, clock)
    for n in (3, 4):
        assert intake.admit(b"[" + b",".join([b'{"time":"1"}'] * n) + b"]")
    fanout.drop(3, "no_destination")  # the first body was processed
    app_of(output, Pipeline(intake, fanout, progress, ledger)).close(clock.monotonic_s())
    fanout.drop(4, "no_destination")  # too late
    row = output.lines()[-1]["none"]
    assert (row["received"], row["dropped"]) == (7, {"no_destination": 3, "shutdown": 4})
    assert ledger.snapshot()["none"].received == 7
    assert output.lines()[0]["droppedRecords"] == 4
