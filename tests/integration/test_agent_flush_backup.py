"""A flush whose time ran out, and then kill -9: what it left was written down before Next was called."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.agent_process import AgentProcess
from support.fake_lambda_api import FakeLambdaApi
from support.telemetry import invocation

LINES = [f"line {n}" for n in range(5)]


class Hesitant:
    """Reads every request; takes none before `answers` is set, and keeps those that it takes."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.over = threading.Event()
        self.bodies: list[bytes] = []

    @contextmanager
    def running(self) -> Iterator[str]:
        with ThreadingHTTPServer(("127.0.0.1", 0), self._handler()) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/"
            finally:
                self.over.set()
                server.shutdown()
                thread.join(10)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not server.answers.is_set():
                    server.over.wait(30)
                    self.close_connection = True
                    return
                server.bodies.append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Tests are quiet."""

        return Handler


def killed(agent: AgentProcess, api: FakeLambdaApi) -> None:
    """Kill -9; whatever answer its call of Next still waits for goes where nobody is."""
    agent.kill()
    api.send_event(b"{}")
    api.wait_until(lambda: not api._events, "the dead call's answer", poll_s=0.01)
    api.seen.clear()


def test_what_a_flush_that_ran_out_of_time_left_outlives_kill_minus_9_and_arrives_once(
    opt: Path, api: FakeLambdaApi, tmp_path: Path
) -> None:
    server = Hesitant()
    with server.running() as url:
        settings = {
            "TAILRACE_DESTINATIONS": url,
            "TAILRACE_FLUSH": "end",
            "TAILRACE_END_WAIT_MS": "5000",
            "TAILRACE_SPOOL_DIR": str(tmp_path / "spool"),
        }
        with AgentProcess(opt, api.address, settings) as agent:
            api.invoke("request-1", timeout_s=0.8)
            api.post_telemetry(invocation("request-1", *LINES))
            api.wait_for_next(2)
            killed(agent, api)
        server.answers.set()
        with AgentProcess(opt, api.address, settings) as agent:
            api.invoke("request-2")
            api.post_telemetry(invocation("request-2", "after"))
            api.wait_for_next(2)
            api.shutdown()
            assert agent.exit_code() == 0
            row = agent.ledger()[url]
    arrived = b"".join(server.bodies)
    assert [arrived.count(f'"{text}"'.encode()) for text in [*LINES, "after"]] == [1] * 6
    assert row["dropped"] == {}
    assert row["delivered"] == row["received"] == arrived.count(b"\n")


def test_a_flush_that_delivers_writes_nothing_down(opt: Path, api: FakeLambdaApi, tmp_path: Path) -> None:
    server = Hesitant()
    server.answers.set()
    with server.running() as url:
        settings = {"TAILRACE_DESTINATIONS": url, "TAILRACE_SPOOL_DIR": str(tmp_path / "spool")}
        with AgentProcess(opt, api.address, settings) as agent:
            for number in (1, 2):
                api.invoke(f"request-{number}")
                api.post_telemetry(invocation(f"request-{number}", *LINES))
                api.wait_for_next(number + 1)
                assert not list((tmp_path / "spool").rglob("*.seg"))
            api.shutdown()
            assert agent.exit_code() == 0
