"""What goes wrong around the agent stays there: the function never pays more than the settings say."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.agent_process import AgentProcess, lines_in, unpack_layer
from support.fake_lambda_api import FakeLambdaApi
from support.telemetry import done, event, invocation, line, started


def invoked(api: FakeLambdaApi, number: int, timeout_s: float = 60) -> float:
    """Run one invocation whose end the agent sees at once; how long it then took to call Next."""
    api.invoke(f"request-{number}", timeout_s)
    api.post_telemetry(invocation(f"request-{number}", f"line of {number}"))
    return api.wait_for_next(number + 1).at_s


@contextmanager
def black_hole() -> Iterator[str]:
    """A server that takes every connection and everything that is sent, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in taken:
                connection.close()


def refused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_a_black_hole_costs_its_cap_once_and_then_nothing(opt: Path, api: FakeLambdaApi) -> None:
    cap_s = 3.0
    with black_hole() as url:
        settings = {"TAILRACE_DESTINATIONS": url, "TAILRACE_END_WAIT_MS": str(int(cap_s * 1000))}
        with AgentProcess(opt, api.address, settings) as agent:
            first = api.wait_for_next().at_s
            second = invoked(api, 1)
            assert second - first >= cap_s
            ninth = second
            for number in range(2, 9):
                ninth = invoked(api, number)
            # Seven invocations together took less than one wait would have.
            assert ninth - second < cap_s
            api.shutdown()
            assert agent.exit_code() == 0
            (row,) = agent.ledger().values()
            assert row["received"] == 24
            assert row["dropped"] == {"shutdown": 24}


def test_invocations_with_less_time_than_the_cap_pay_for_a_black_hole_no_more_than_the_cap_together(
    opt: Path, api: FakeLambdaApi
) -> None:
    with black_hole() as url:
        settings = {"TAILRACE_DESTINATIONS": url, "TAILRACE_END_WAIT_MS": "3000"}
        with AgentProcess(opt, api.address, settings) as agent:
            at_s = [api.wait_for_next().at_s]
            at_s += [invoked(api, number, timeout_s=1.2) for number in range(1, 10)]
            # Each has 1.1 s to give: two give all of it, the third what is left of the cap, the others nothing.
            assert at_s[2] - at_s[0] >= 2.0
            assert at_s[9] - at_s[3] < 2.0
            api.shutdown()
            assert agent.exit_code() == 0
            # It may be slow: nothing is said of it before an attempt has failed, or the end has come.
            said = [line for line in agent.said() if line.get("destination") == url]
            assert [(line["level"], line["lastFailure"]) for line in said] == [("error", "no reply yet")]


def test_a_destination_that_refuses_is_waited_for_once_and_said_once(opt: Path, api: FakeLambdaApi) -> None:
    settings = {"TAILRACE_DESTINATIONS": refused(), "TAILRACE_END_WAIT_MS": "200"}
    with AgentProcess(opt, api.address, settings) as agent:
        for number in range(1, 6):
            invoked(api, number)
        api.shutdown()
        assert agent.exit_code() == 0
        down = [line for line in agent.said() if str(line.get("reason")).startswith("connection refused (127.0.0.1:")]
        assert len(down) == 1
        (row,) = agent.ledger().values()
        assert row["received"] == sum(row["dropped"].values()) == 15


def test_a_dead_destination_costs_its_neighbour_nothing(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    with black_hole() as url:
        settings = {
            "TAILRACE_DESTINATIONS": f"{url} file://{out}",
            "TAILRACE_END_WAIT_MS": "200",
            "TAILRACE_FLUSH": "end",
        }
        with AgentProcess(opt, api.address, settings) as agent:
            for number in range(1, 4):
                invoked(api, number)
                assert len(lines_in(out)) == 3 * number
            api.shutdown()
            assert agent.exit_code() == 0
            rows = agent.ledger()
            assert rows[f"file://{out}"]["delivered"] == 9
            assert rows[url]["dropped"] == {"shutdown": 9}


def test_with_nothing_configured_it_warns_once_and_counts_every_record(opt: Path, api: FakeLambdaApi) -> None:
    with AgentProcess(opt, api.address) as agent:
        invoked(api, 1)
        invoked(api, 2)
        api.shutdown()
        assert agent.exit_code() == 0
        warning, ledger = agent.said()
        assert warning["level"] == "warn"
        assert "no destination is configured" in warning["message"]
        assert ledger["none"]["received"] == 6
        assert ledger["none"]["dropped"] == {"no_destination": 6}


def test_a_destination_that_cannot_be_built_has_its_own_row_and_the_others_work(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    settings = {"TAILRACE_DESTINATIONS": f"ftp://somewhere file://{out} file://{out}/b?compress=brotli"}
    with AgentProcess(opt, api.address, settings) as agent:
        invoked(api, 1)
        api.shutdown()
        assert agent.exit_code() == 0
        said = [line["message"] for line in agent.said()[:-1]]
        assert len(said) == 2
        assert 'unknown scheme "ftp"' in said[0]
        assert "compress" in said[1]
        rows = agent.ledger()
        assert rows[f"file://{out}"]["delivered"] == 3
        assert rows["TAILRACE_DESTINATIONS, first entry"]["dropped"] == {"bad_configuration": 3}
        assert rows["TAILRACE_DESTINATIONS, third entry"]["dropped"] == {"bad_configuration": 3}


def test_malformed_settings_are_each_said_once_and_their_defaults_hold(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    settings = {
        "TAILRACE_DESTINATIONS": f"file://{out}",
        "TAILRACE_END_WAIT_MS": "soon",
        "TAILRACE_QUEUE_MAX_BYTES": "-1",
        "TAILRACE_TYPES": "metrics",
        "TAILRACE_HTTP_HEADERS": "secret-without-a-name",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "much",
        "TAILRACE_SETLE_MS": "5",
    }
    with AgentProcess(opt, api.address, settings) as agent:
        invoked(api, 1)
        assert len(lines_in(out)) == 3
        api.shutdown()
        assert agent.exit_code() == 0
        said = agent.messages()
        for name in ("END_WAIT_MS", "QUEUE_MAX_BYTES", "TYPES", "HTTP_HEADERS", "SETLE_MS"):
            assert len([message for message in said if message.startswith(f"TAILRACE_{name}")]) == 1, name
        assert b"secret-without-a-name" not in agent.output


def test_a_folder_that_cannot_be_written_is_named_and_nothing_stops(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    out.write_text("a file in the way")
    settings = {"TAILRACE_DESTINATIONS": f"file://{out}/logs", "TAILRACE_END_WAIT_MS": "100"}
    with AgentProcess(opt, api.address, settings) as agent:
        invoked(api, 1)
        invoked(api, 2)
        api.shutdown()
        assert agent.exit_code() == 0
        assert "not a directory" in agent.said()[0]["reason"]
        (row,) = agent.ledger().values()
        assert row["dropped"] == {"shutdown": 6}


@pytest.mark.parametrize("budget_s", [-1.0, 0.0, 0.05])
def test_a_shutdown_without_time_still_tries_and_writes_the_ledger(
    opt: Path, api: FakeLambdaApi, out: Path, budget_s: float
) -> None:
    with AgentProcess(opt, api.address, {"TAILRACE_DESTINATIONS": f"file://{out}"}) as agent:
        invoked(api, 1)
        api.post_telemetry([line("late")])
        api.shutdown(budget_s=budget_s)
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
        assert row["received"] == 4
        assert row["delivered"] + sum(row["dropped"].values()) == 4


def test_a_shutdown_for_a_timeout_in_the_middle_of_an_invocation_delivers_what_came(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    with AgentProcess(opt, api.address, {"TAILRACE_DESTINATIONS": f"file://{out}"}) as agent:
        api.invoke("request-1", timeout_s=0.2)
        api.post_telemetry([line("before the timeout")])
        api.wait_for_next(2)
        api.shutdown("timeout")
        assert agent.exit_code() == 0
        assert len(lines_in(out)) == 1


def test_kill_minus_9_leaves_nothing_half_written(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    with AgentProcess(opt, api.address, {"TAILRACE_DESTINATIONS": f"file://{out}"}) as agent:
        api.wait_for_next()
        stop = threading.Event()

        def pour() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                api.invoke(f"request-{number}")
                try:
                    api.post_telemetry(invocation(f"request-{number}", *("x" * 1000 for _ in range(200))))
                except OSError:
                    return

        pouring = threading.Thread(target=pour)
        pouring.start()
        api.wait_for_next(8)
        agent.kill()
        stop.set()
        pouring.join(30)
        files = list(out.rglob("*.ndjson"))
        assert files
        for file in files:
            text = file.read_text()
            assert text.endswith("\n")
            assert [json.loads(row)["type"] for row in text.splitlines()]


def replaced(opt: Path, module: str, source: str) -> None:
    """Put another module in the place of one of the layer's."""
    path = opt / "tailrace" / "tailrace" / f"{module}.py"
    for bytecode in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        bytecode.unlink()
    path.write_text(source)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raise RuntimeError('a secret')", "RuntimeError"),
        ("raise ImportError('no module of that name')", "ImportError: no module of that name"),
    ],
)
def test_an_agent_that_cannot_be_built_says_so_and_goes_on_calling_next(
    api: FakeLambdaApi, tmp_path: Path, source: str, found: str
) -> None:
    opt = unpack_layer(tmp_path)
    replaced(opt, "agent/assembly", source)
    with AgentProcess(opt, api.address) as agent:
        for number in (1, 2):
            api.invoke(f"request-{number}", timeout_s=900)
            api.wait_for_next(number + 1)
        api.shutdown()
        assert agent.exit_code() == 0
        (message,) = agent.messages()
        assert message == f"the agent could not be built: {found}; no telemetry is delivered"


def test_an_invocation_that_ends_before_the_imports_do_is_not_held_past_its_deadline(
    api: FakeLambdaApi, tmp_path: Path, out: Path
) -> None:
    opt = unpack_layer(tmp_path)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    # Its import ends when somebody opens the other end of the pipe.
    source = (opt / "tailrace" / "tailrace" / "agent" / "assembly.py").read_text()
    replaced(opt, "agent/assembly", f"{source}\nopen({str(gate)!r}).close()\n")
    # A generous margin, so that a busy machine does not decide.
    settings = {"TAILRACE_DESTINATIONS": f"file://{out}", "TAILRACE_MARGIN_MS": "2000"}
    with AgentProcess(opt, api.address, settings) as agent:
        api.wait_for_next()
        deadline_s = time.monotonic() + 3
        api.invoke("request-1", timeout_s=3)
        assert api.wait_for_next(2).at_s < deadline_s
        gate.write_text("")
        invoked(api, 2)
        assert len(lines_in(out)) == 3
        api.shutdown()
        assert agent.exit_code() == 0
        assert agent.messages() == []


@contextmanager
def particular_server(refuses: bytes, status: int) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers `status` to every request with `refuses` in it; the bodies that it took."""
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_refused = refuses in body
            if not is_refused:
                taken.append(body)
            self.send_response(status if is_refused else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Tests are quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", taken
        finally:
            server.shutdown()
            thread.join(10)


@pytest.mark.parametrize(("status", "reason"), [(400, "status 400"), (422, "status 422"), (413, "too_large")])
def test_one_record_that_a_server_refuses_takes_no_other_with_it(
    opt: Path, api: FakeLambdaApi, status: int, reason: str
) -> None:
    with particular_server(b"poison", status) as (url, taken):
        settings = {"TAILRACE_DESTINATIONS": url, "TAILRACE_END_WAIT_MS": "20000"}
        with AgentProcess(opt, api.address, settings) as agent:
            texts = [f"line {number}" if number != 37 else "poison" for number in range(100)]
            api.invoke("request-1", timeout_s=60)
            api.post_telemetry(invocation("request-1", *texts))
            api.wait_for_next(2)
            api.shutdown()
            assert agent.exit_code() == 0
            (row,) = agent.ledger().values()
            assert (row["received"], row["delivered"], row["rejected"]) == (102, 101, 1)
            said = [line for line in agent.said() if line.get("reason") == reason]
            assert [line["records"] for line in said] == [1]
    records = [json.loads(line)["record"] for body in taken for line in body.splitlines()]
    assert [record for record in records if isinstance(record, str)] == [text for text in texts if text != "poison"]


@pytest.mark.parametrize(
    ("reply", "stays_open"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n", True),
        (b"HTTP/1.1 202 Accepted\r\n\r\nno length", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", False),
    ],
)
def test_a_reply_whose_body_never_comes_is_taken_by_its_status_and_nothing_is_sent_twice(
    opt: Path, api: FakeLambdaApi, reply: bytes, stays_open: bool
) -> None:
    over = threading.Event()
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.wfile.write(reply)
            self.close_connection = True
            if stays_open:
                over.wait(30)

        def log_message(self, *arguments: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    try:
        with AgentProcess(opt, api.address, {"TAILRACE_DESTINATIONS": url}) as agent:
            for number in (1, 2):
                invoked(api, number)
            api.shutdown(budget_s=3)
            assert agent.exit_code() == 0
            row = agent.ledger()[url]
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
    assert row["delivered"] == row["received"] == sum(body.count(b"\n") for body in bodies)
    assert row["resentUnconfirmed"] == 0


def test_more_than_a_queue_holds_is_kept_back_while_the_destination_takes_it(opt: Path, api: FakeLambdaApi) -> None:
    with particular_server(b"nothing of that", 500) as (url, taken):
        settings = {
            "TAILRACE_DESTINATIONS": url, "TAILRACE_QUEUE_MAX_BYTES": "200000", "TAILRACE_END_WAIT_MS": "20000",
        }  # fmt: skip
        with AgentProcess(opt, api.address, settings) as agent:
            api.invoke("request-1", timeout_s=60)
            api.post_telemetry([started("request-1")])
            for _ in range(20):
                api.post_telemetry([line("x" * 200) for _ in range(500)])
            api.post_telemetry([done("request-1")])
            api.wait_for_next(2)
            api.shutdown()
            assert agent.exit_code() == 0
            (row,) = agent.ledger().values()
            assert (row["received"], row["delivered"]) == (10_002, 10_002)
    assert sum(body.count(b"\n") for body in taken) == 10_002


def test_what_the_platform_lost_stands_in_the_ledger(opt: Path, api: FakeLambdaApi, out: Path) -> None:
    with AgentProcess(opt, api.address, {"TAILRACE_DESTINATIONS": f"file://{out}"}) as agent:
        api.invoke("request-1", timeout_s=60)
        lost = {"reason": "slow", "droppedRecords": 42, "droppedBytes": 9001}
        api.post_telemetry([started("request-1"), event("platform.logsDropped", lost), done("request-1")])
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0
        rows = agent.ledger()
        assert rows[f"file://{out}"]["delivered"] == 3
        assert rows["platform"]["dropped"] == {"logs_dropped": 42}


def test_an_end_that_the_platform_lost_does_not_hold_the_function_to_its_deadline(
    opt: Path, api: FakeLambdaApi, out: Path
) -> None:
    with AgentProcess(opt, api.address, {"TAILRACE_DESTINATIONS": f"file://{out}"}) as agent:
        api.invoke("request-1", timeout_s=900)
        lost = {"reason": "slow", "droppedRecords": 42, "droppedBytes": 9001}
        api.post_telemetry([started("request-1"), event("platform.logsDropped", lost)])
        api.wait_for_next(2)
        assert len(lines_in(out)) == 2
        api.shutdown()
        assert agent.exit_code() == 0
