from __future__ import annotations

import _socket
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.clock import SystemClock
from tailrace.pipeline.intake import Intake, Oversized
from tailrace.pipeline.ledger import Ledger
from tailrace.pipeline.progress import Progress
from tailrace.receivers.telemetry import MAX_BODY_BYTES, Deliveries, TelemetryListener

LIMIT_S = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Bench:
    def __init__(self, max_bytes: int = 50_000_000, hold_s: float = 0.01) -> None:
        clock = SystemClock()
        self.ledger = Ledger()
        self.intake = Intake(self.ledger, Progress(clock), clock, max_bytes, hold_s)
        sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        sock.bind(("127.0.0.1", 0))
        sock.listen(16)
        self.port: int = sock.getsockname()[1]
        self.listener = TelemetryListener(sock, self.intake)
        self.thread = threading.Thread(target=self.listener.serve)
        self.thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), LIMIT_S)

    def stop(self) -> None:
        self.listener.stop()
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()
        assert self.listener.wait_stopped(SystemClock(), SystemClock().monotonic_s() + LIMIT_S)

    def take(self) -> bytes | Oversized:
        body = self.intake.take()
        assert body is not None
        return body.content

    def taken(self) -> list[bytes | Oversized]:
        """Everything that was admitted. Ends the intake."""
        self.intake.close()
        bodies = []
        while (body := self.intake.take()) is not None:
            bodies.append(body.content)
        return bodies


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.stop()


def read(sock: socket.socket, n: int) -> bytes:
    data = b""
    while len(data) < n:
        piece = sock.recv(n - len(data))
        if not piece:
            break
        data += piece
    return data


def post(body: bytes, start: bytes = b"POST / HTTP/1.1", headers: bytes = b"") -> bytes:
    return start + b"\r\nHost: sandbox\r\n" + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def ask(sock: socket.socket, wire: bytes) -> bytes:
    sock.sendall(wire)
    return read(sock, len(OK))


def test_bodies_are_admitted_in_order_over_one_connection(bench: Bench) -> None:
    with bench.connect() as sock:
        for n in range(5):
            assert ask(sock, post(b"[%d]" % n)) == OK
    assert bench.taken() == [b"[0]", b"[1]", b"[2]", b"[3]", b"[4]"]


@pytest.mark.parametrize(
    "start", [b"PUT /any/path?x HTTP/1.1", b"POST http://sandbox.localdomain:8080/ HTTP/1.1", b"XYZ * HTTP/1.1"]
)
def test_any_method_and_path_will_do(bench: Bench, start: bytes) -> None:
    with bench.connect() as sock:
        assert ask(sock, post(b"[1]", start)) == OK
    assert bench.taken() == [b"[1]"]


def test_a_question_without_a_body_is_answered_and_admits_nothing(bench: Bench) -> None:
    with bench.connect() as sock:
        assert ask(sock, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n") == OK
        assert ask(sock, post(b"")) == OK
    assert bench.taken() == []


def test_chunks_and_requests_sent_ahead_are_read(bench: Bench) -> None:
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"
    with bench.connect() as sock:
        sock.sendall(chunked + post(b"[2]") + b"\r\n" + chunked)
        assert read(sock, 3 * len(OK)) == 3 * OK
    assert bench.taken() == [b"[1]", b"[2]", b"[1]"]


def test_who_asks_whether_to_go_on_is_told_to(bench: Bench) -> None:
    with bench.connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert read(sock, 25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert ask(sock, b"[1]") == OK
    assert bench.taken() == [b"[1]"]


@pytest.mark.parametrize(
    "wire", [post(b"[1]", headers=b"Connection: close\r\n"), post(b"[1]", b"POST / HTTP/1.0")], ids=["close", "1.0"]
)
def test_a_connection_that_is_not_to_be_kept_ends_after_the_answer(bench: Bench, wire: bytes) -> None:
    with bench.connect() as sock:
        assert ask(sock, wire) == OK
        assert sock.recv(1) == b""


@pytest.mark.parametrize(
    "wire",
    [
        b"\x16\x03\x01\x02\x00 this is TLS \r\n\r\n",
        b"POST /\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"x" * 100_000,
    ],
)
def test_what_is_not_http_only_ends_its_connection(bench: Bench, wire: bytes) -> None:
    with bench.connect() as sock:
        try:
            sock.sendall(wire)
            assert sock.recv(100) == b""
        except ConnectionError:
            pass  # the listener hung up before it had read everything
    with bench.connect() as sock:
        assert ask(sock, post(b"[1]")) == OK
    assert bench.taken() == [b"[1]"]


def test_a_body_that_breaks_off_is_not_admitted(bench: Bench) -> None:
    with bench.connect() as sock:
        sock.sendall(post(b"[1]" * 1000)[:-10])
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    assert bench.taken() == []


def chunked_whole(n_bytes: int) -> bytes:
    return b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % n_bytes + b"x" * n_bytes + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("make", [lambda n: post(b"x" * n), chunked_whole], ids=["sized", "chunked"])
def test_a_body_beyond_the_bound_is_read_and_counted_but_not_kept(bench: Bench, make: Callable[[int], bytes]) -> None:
    with bench.connect() as sock:
        assert ask(sock, make(MAX_BODY_BYTES + 1)) == OK
        assert ask(sock, post(b"[1]")) == OK
    oversized, after = bench.taken()
    assert isinstance(oversized, Oversized)
    assert (oversized.n_bytes, after) == (MAX_BODY_BYTES + 1, b"[1]")


def test_a_full_intake_is_answered_503_and_the_platform_s_second_try_gets_in() -> None:
    bench = Bench(max_bytes=5)
    with bench.connect() as sock:
        assert ask(sock, post(b"[111]")) == OK
        sock.sendall(post(b"[222]"))
        assert sock.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert bench.take() == b"[111]"
        assert ask(sock, post(b"[222]")) == OK
    assert bench.ledger.snapshot()["refused"].rejected == 1
    assert bench.taken() == [b"[222]"]
    bench.stop()


def test_equal_bodies_that_were_both_answered_are_two_deliveries(bench: Bench) -> None:
    with bench.connect() as sock:
        assert ask(sock, post(b"[1]")) == OK
        assert ask(sock, post(b"[1]")) == OK
    assert bench.taken() == [b"[1]", b"[1]"]


def test_equal_bodies_over_a_new_connection_each_are_all_counted(bench: Bench) -> None:
    # whoever asks next may be quicker than the thread that has just answered
    for _ in range(300):
        with bench.connect() as sock:
            assert ask(sock, post(b"[1]")) == OK
    assert len(bench.taken()) == 300


def test_a_body_whose_answer_did_not_get_out_is_counted_once() -> None:
    ledger, clock = Ledger(), SystemClock()
    intake = Intake(ledger, Progress(clock), clock)
    deliveries = Deliveries(intake)
    answers = iter([False, True, True, True, True, False, False])

    def acknowledge() -> bool:
        return next(answers)

    assert deliveries.receive(b"[1]", acknowledge)
    assert deliveries.receive(b"[1]", acknowledge)  # again, because no answer came; this one gets out
    assert deliveries.receive(b"[1]", acknowledge)  # so this one is new
    assert deliveries.receive(b"[2]", acknowledge)
    assert deliveries.receive(b"[1]", acknowledge)  # not the one right before
    assert deliveries.receive(Oversized(5), acknowledge)
    assert deliveries.receive(Oversized(5), acknowledge)
    intake.close()
    bodies = [body.content for _ in range(6) if (body := intake.take()) is not None]
    assert bodies[:4] == [b"[1]", b"[1]", b"[2]", b"[1]"]
    assert len(bodies) == 5


def test_a_platform_that_gave_up_while_its_answer_was_held_sends_again_without_a_copy() -> None:
    bench = Bench(max_bytes=5, hold_s=LIMIT_S)
    with bench.connect() as sock:
        assert ask(sock, post(b"[111]")) == OK
        with bench.connect() as impatient:
            impatient.sendall(post(b"[222]"))
        assert bench.take() == b"[111]"  # makes room: the held one gets in, and nobody hears it
        assert bench.take() == b"[222]"
        with bench.connect() as again:
            again.sendall(post(b"[222]") + post(b"[333]"))
            assert read(again, 2 * len(OK)) == 2 * OK
    assert bench.taken() == [b"[333]"]
    bench.stop()


def test_stopping_ends_idle_connections_and_the_accepting() -> None:
    bench = Bench()
    with bench.connect() as sock:
        assert ask(sock, post(b"[1]")) == OK
        bench.stop()
        assert sock.recv(1) == b""
    with pytest.raises(ConnectionError):
        bench.connect()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.booleans()), min_size=1, max_size=4), st.integers(1, 50)
)
def test_bodies_arrive_whole_however_the_wire_cuts_them(bodies: list[tuple[bytes, bool]], piece: int) -> None:
    bench = Bench()
    wire = b""
    for body, in_chunks in bodies:
        if in_chunks:
            half = len(body) // 2
            parts = [p for p in (body[:half], body[half:]) if p]
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts)
            wire += b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        else:
            wire += post(body)
    with bench.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(wire), piece):
            sock.sendall(wire[start : start + piece])
        assert read(sock, len(bodies) * len(OK)) == len(bodies) * OK
    assert bench.taken() == [body for body, _ in bodies]
    bench.stop()


def test_where_no_thread_is_to_be_had_a_connection_is_closed_and_the_next_one_is_served() -> None:
    ledger, clock = Ledger(), SystemClock()
    intake = Intake(ledger, Progress(clock), clock)
    failures = [RuntimeError("can't start new thread")]

    def spawn(run: Callable[[], None]) -> None:
        if failures:
            raise failures.pop()
        threading.Thread(target=run).start()

    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    listener = TelemetryListener(_socket.socket(fileno=listening.detach()), intake, spawn)
    serving = threading.Thread(target=listener.serve)
    serving.start()
    with socket.create_connection(address, LIMIT_S) as first:
        assert first.recv(1) == b""
    with socket.create_connection(address, LIMIT_S) as second:
        assert ask(second, post(b"[1]")) == OK
    listener.stop()
    serving.join(LIMIT_S)
    assert listener.wait_stopped(clock, clock.monotonic_s() + LIMIT_S)
