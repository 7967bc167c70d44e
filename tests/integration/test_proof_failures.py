"""Each way in which a destination, the network or the environment fails: what becomes of the records, and what an
invocation pays. The table of docs/explanation/failures.md is made of these."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.agent_process import AgentProcess, lines_in
from support.fake_lambda_api import FakeLambdaApi
from support.proof_run import Authority, account, authority
from support.proof_sink import ProofSink
from support.telemetry import done, invocation, line, started

CAP_S = 3.0
CALLS = 5


@pytest.fixture(scope="module")
def tls() -> Authority:
    return authority()


@pytest.fixture
def sink() -> Iterator[ProofSink]:
    with ProofSink(1) as sink:
        yield sink


def settings(url: str, **more: str) -> dict[str, str]:
    return {"TAILRACE_DESTINATIONS": url, "TAILRACE_END_WAIT_MS": str(int(CAP_S * 1000)), **more}


def calls(api: FakeLambdaApi, first: int, last: int) -> float:
    """Invocations of three records each; when the last of them was over."""
    at_s = 0.0
    for number in range(first, last + 1):
        api.invoke(f"request-{number}", timeout_s=60)
        api.post_telemetry(invocation(f"request-{number}", f"line of {number}"))
        at_s = api.wait_for_next(number + 1).at_s
    return at_s


def ended(agent: AgentProcess, api: FakeLambdaApi) -> dict[str, Any]:
    """The row of the only destination."""
    api.shutdown()
    assert agent.exit_code() == 0
    (row,) = (row for name, row in agent.ledger().items() if name != "refused")
    assert isinstance(row, dict)
    assert row["received"] == account(row)
    return row


def once(sink: ProofSink) -> list[int]:
    """The numbers of the records that are there; each of them once."""
    numbers = sorted(record["seq"] for _, record in sink.lines())
    assert len(numbers) == len(set(numbers))
    assert sink.conflicts == []
    return numbers


@pytest.mark.parametrize(
    "weather",
    [
        "down", "slow", "throttling", "unavailable", "failing", "forbidden", "cutting", "forgetful", "half-read",
        "half-said", "hanging", "changing",
    ],
)  # fmt: skip
def test_what_a_destination_does_for_a_while_costs_no_record_and_hardly_any_time(
    opt: Path, api: FakeLambdaApi, sink: ProofSink, weather: str
) -> None:
    with AgentProcess(opt, api.address, settings(f"http://127.0.0.1:{sink.port}/")) as agent:
        sink.turn(weather)
        first_s = calls(api, 1, 1)
        # All that follow together take less than one wait would have.
        assert calls(api, 2, CALLS) - first_s < CAP_S
        sink.turn("fine")
        row = ended(agent, api)

    assert row["received"] == row["delivered"] == 3 * CALLS
    assert once(sink) == list(range(1, 3 * CALLS + 1))


def test_a_destination_that_asks_for_time_is_left_alone_for_that_long(
    opt: Path, api: FakeLambdaApi, sink: ProofSink
) -> None:
    sink.retry_after = "60"
    sink.turn("unavailable")
    with AgentProcess(opt, api.address, settings(f"http://127.0.0.1:{sink.port}/")) as agent:
        calls(api, 1, CALLS)
        assert sink.n_requests == 1
        sink.turn("fine")
        row = ended(agent, api)
        said = [line["message"] for line in agent.said() if line["type"] == "tailrace.log"]

    assert row["dropped"] == {"shutdown": 3 * CALLS}  # the end came before that time
    assert sink.n_requests == 1
    assert len(said) == 2  # that it began, what it cost


def test_what_a_destination_asks_for_is_waited_for_at_the_end_where_there_is_time(
    opt: Path, api: FakeLambdaApi, sink: ProofSink
) -> None:
    sink.retry_after = "1"
    sink.turn("unavailable")
    with AgentProcess(opt, api.address, settings(f"http://127.0.0.1:{sink.port}/")) as agent:
        calls(api, 1, 1)
        sink.turn("fine")
        row = ended(agent, api)

    assert row["delivered"] == 3
    assert min(later_s - earlier_s for earlier_s, later_s in pairwise(sink.came_s)) >= 1.0


def test_tls_that_cannot_be_trusted_gets_nothing_and_afterwards_everything(
    opt: Path, api: FakeLambdaApi, tls: Authority, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(tls.pem)
    with ProofSink(1, tls.good, tls.stranger) as sink:
        sink.turn("stranger")
        asked = settings(f"https://localhost:{sink.port}/", SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        with AgentProcess(opt, api.address, asked) as agent:
            first_s = calls(api, 1, 1)
            assert calls(api, 2, CALLS) - first_s < CAP_S
            assert sink.objects == {}
            sink.turn("fine")
            row = ended(agent, api)
            reasons = [str(line.get("reason")) for line in agent.said()]

        assert row["received"] == row["delivered"] == len(once(sink)) == 3 * CALLS
        assert any("certificate" in reason for reason in reasons)


def test_a_name_that_nobody_knows_is_said_once_and_every_record_has_its_reason(opt: Path, api: FakeLambdaApi) -> None:
    with AgentProcess(opt, api.address, settings("http://no-such-host.invalid/in")) as agent:
        first_s = calls(api, 1, 1)
        assert calls(api, 2, CALLS) - first_s < CAP_S
        row = ended(agent, api)
        said = [line for line in agent.said() if "no-such-host.invalid" in str(line.get("reason"))]

    assert row["dropped"] == {"shutdown": 3 * CALLS}
    assert len(said) == 1


def test_a_refusal_for_good_costs_its_records_by_name_and_no_time(
    opt: Path, api: FakeLambdaApi, sink: ProofSink
) -> None:
    sink.turn("refusing")
    with AgentProcess(opt, api.address, settings(f"http://127.0.0.1:{sink.port}/")) as agent:
        first_s = calls(api, 1, 1)
        assert calls(api, 2, CALLS) - first_s < CAP_S
        row = ended(agent, api)
        said = [line for line in agent.said() if line.get("reason") == "status 410"]

    assert (row["received"], row["rejected"], row["dropped"]) == (3 * CALLS, 3 * CALLS, {})
    assert len(said) == 1
    assert sink.objects == {}


def test_with_memory_full_and_no_disk_telemetry_is_refused_until_there_is_room(
    opt: Path, api: FakeLambdaApi, sink: ProofSink
) -> None:
    asked = settings(
        f"http://127.0.0.1:{sink.port}/", TAILRACE_QUEUE_MAX_BYTES="65536", TAILRACE_SPOOL_MAX_BYTES="0"
    )  # fmt: skip
    with AgentProcess(opt, api.address, asked) as agent:
        calls(api, 1, 1)
        sink.turn("down")
        api.invoke("request-2", timeout_s=60)
        # More than memory may hold, and taken while nothing waits there: it is acknowledged, so it is kept.
        assert api.post_telemetry([started("request-2"), *[line("x" * 1000) for _ in range(200)]]) == 200
        last = [line("the last one"), done("request-2")]
        refusals = 0
        while api.post_telemetry(last) == 503:  # as the platform does: the same again
            refusals += 1
            if refusals == 3:
                api.wait_for_next(3)  # nobody waits for the end of an invocation that is not let in
                sink.turn("fine")
        row = ended(agent, api)
        refused = agent.ledger()["refused"]["rejected"]
        said = [told["level"] for told in agent.said() if told.get("message", "").startswith("telemetry is")]

    assert (row["received"], row["delivered"], row["dropped"]) == (206, 206, {})
    assert once(sink) == list(range(1, 207))
    assert refused == refusals >= 3
    assert said == ["warn", "info"]


def test_one_destination_without_room_refuses_nothing_that_another_takes(
    opt: Path, api: FakeLambdaApi, sink: ProofSink, tmp_path: Path
) -> None:
    dead = f"http://127.0.0.1:{sink.port}/"
    asked = settings(
        f"{dead} file://{tmp_path}/out", TAILRACE_QUEUE_MAX_BYTES="65536", TAILRACE_SPOOL_MAX_BYTES="0"
    )  # fmt: skip
    sink.turn("down")
    with AgentProcess(opt, api.address, asked) as agent:
        for number in range(1, 4):
            api.invoke(f"request-{number}", timeout_s=60)
            lines = [line("x" * 1000) for _ in range(100)]
            assert api.post_telemetry([started(f"request-{number}"), *lines, done(f"request-{number}")]) == 200
            api.wait_for_next(number + 1)
        api.shutdown()
        assert agent.exit_code() == 0
        rows = agent.ledger()

    assert len(lines_in(tmp_path / "out")) == 306
    assert set(rows) == {dead, f"file://{tmp_path}/out"}
    assert rows[dead]["received"] == account(rows[dead]) == 306
    assert rows[dead]["dropped"]["queue_full"] > 100


def test_a_post_of_telemetry_that_breaks_off_counts_nothing_and_stops_nothing(
    opt: Path, api: FakeLambdaApi, sink: ProofSink
) -> None:
    """It was not acknowledged: the platform has it still, and sends it again."""
    with AgentProcess(opt, api.address, settings(f"http://127.0.0.1:{sink.port}/")) as agent:
        calls(api, 1, 1)
        port = api.subscription()["destination"]["URI"].rpartition(":")[2]
        body = b"[" + b",".join([b'{"time":"2026-01-02T03:04:05.678Z","type":"function","record":"cut"}'] * 3) + b"]"
        with socket.create_connection(("127.0.0.1", int(port))) as half:
            half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:40])
        calls(api, 2, 2)
        row = ended(agent, api)

    assert row["received"] == row["delivered"] == 6
