"""Credentials that are asked for from an endpoint which has its own troubles."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.agent_process import AgentProcess
from support.fake_lambda_api import FakeLambdaApi
from support.telemetry import invocation

KEYS = {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": "t", "Expiration": "2999-01-01T00:00:00Z"}


class Store:
    """Credentials to GET, objects to PUT. `troubles` are the statuses that the next questions for credentials get."""

    def __init__(self, troubles: list[int]) -> None:
        self.troubles = troubles
        self.asked = 0
        self.bodies: list[bytes] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[dict[str, str]]:
        """The agent's settings."""
        with ThreadingHTTPServer(("127.0.0.1", 0), self._handler()) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            address = f"http://127.0.0.1:{server.server_port}"
            self.url = f"s3://telemetry?endpoint={address}"
            try:
                yield {
                    "TAILRACE_DESTINATIONS": self.url,
                    "AWS_REGION": "eu-west-1",
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{address}/credentials",
                }
            finally:
                server.shutdown()
                thread.join(10)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                store.asked += 1
                status = store.troubles.pop(0) if store.troubles else 200
                self._say(status, json.dumps(KEYS).encode() if status == 200 else b"")

            def do_PUT(self) -> None:
                store.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self._say(200, b"")

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Tests are quiet."""

        return Handler


@pytest.mark.parametrize("reason", ["spindown", "failure"])
def test_credentials_that_are_refused_for_a_moment_at_the_end_cost_no_record(
    opt: Path, api: FakeLambdaApi, reason: str
) -> None:
    store = Store([500, 500, 503, 500, 503])
    with store.running() as settings, AgentProcess(opt, api.address, settings) as agent:
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", "the only line"))
        api.shutdown(reason, budget_s=2)
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
    assert store.troubles == []
    assert row["delivered"] == row["received"] == sum(body.count(b"\n") for body in store.bodies)


def test_after_a_trouble_of_the_endpoint_the_same_run_delivers(opt: Path, api: FakeLambdaApi) -> None:
    store = Store([500])
    with store.running() as settings, AgentProcess(opt, api.address, settings) as agent:
        for number in (1, 2, 3):
            api.invoke(f"request-{number}")
            api.post_telemetry(invocation(f"request-{number}", "a line"))
            api.wait_for_next(number + 1)
        assert agent.running()
        assert store.bodies, "what was held while there were no credentials waits for half a minute"
        api.shutdown()
        assert agent.exit_code() == 0
        (row,) = agent.ledger().values()
    assert row["delivered"] == row["received"]
