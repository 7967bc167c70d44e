"""Telemetry at its limits: levels, oversized records, what late subscribers missed; nothing lost, order kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.machine_world import World, ext
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import ConfirmDelivery
from tailrace.emulator.machine.policy import Policy

MAX_BYTES = 262_144


def subscribed(*types: str, policy: Policy | None = None, version: str = "2025-01-29", **more: Any) -> World:
    settings = {name: more.pop(name) for name in ("max_items", "max_bytes", "timeout_ms") if name in more}
    world = World("a", policy=policy, timeout_s=900, **more)
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE", "SHUTDOWN")
    assert world.subscribe("a", *types, version=version, **settings).status == 200
    world.extension_next("a")
    world.runtime_next()
    world.invoke()
    return world


def records(world: World) -> list[Any]:
    return [event["record"] for post in world.posts() for event in json.loads(post.body)]


LINES = [
    "{}",
    '{"level":"trace"}',
    '{"level":"DEBUG"}',
    '{"level":"info"}',
    '{"level":7}',
    '{"level":"ERROR"}',
    "plain",
]


@pytest.mark.parametrize(
    ("setting", "hidden"),
    [
        ("TRACE", set()),
        ("INFO", {1, 2}),
        ("", {1, 2}),
        ("loud", {1, 2}),
        ("warn", {0, 1, 2, 3, 4, 6}),
        ("FATAL", set(range(7))),
    ],
)
def test_lines_below_the_level_are_neither_logged_nor_delivered(setting: str, hidden: set[int]) -> None:
    environment = {"AWS_LAMBDA_LOG_LEVEL": setting} if setting else {}
    world = subscribed("function", log_format="JSON", environment=environment, version="2022-07-01", timeout_ms=25)
    world.deliver_well = True
    for line in LINES:
        world.line(line)
    world.advance(25)
    expected = [line for at, line in enumerate(LINES) if at not in hidden]
    assert records(world) == expected
    assert [line for line in world.log() if line in LINES] == expected


def test_subscribers_may_get_what_the_log_does_not_show() -> None:
    policy = Policy(log_level_filters_telemetry=False)
    world = subscribed("function", policy=policy, log_format="JSON", timeout_ms=25)
    world.line('{"level":"DEBUG"}')
    world.advance(25)
    assert records(world) == [{"level": "DEBUG"}]
    assert '{"level":"DEBUG"}' not in world.log()


def test_text_logs_and_extensions_have_no_levels() -> None:
    text = subscribed("function", environment={"AWS_LAMBDA_LOG_LEVEL": "FATAL"}, timeout_ms=25)
    text.line('{"level":"DEBUG"}')
    assert '{"level":"DEBUG"}' in text.log()
    world = subscribed("extension", log_format="JSON", environment={"AWS_LAMBDA_LOG_LEVEL": "FATAL"}, timeout_ms=25)
    world.line('{"level":"DEBUG"}', ext("a"))
    assert '{"level":"DEBUG"}' in world.log()


@pytest.mark.parametrize(("policy", "expected"), [(True, "one\rtwo"), (False, "one\rtwo\r")])
def test_a_carriage_return_at_the_end_of_a_line(policy: bool, expected: str) -> None:
    world = subscribed("function", policy=Policy(telemetry_strips_carriage_return=policy), timeout_ms=25)
    world.line("one\rtwo\r")
    world.advance(25)
    assert records(world) == [expected]
    assert world.log()[-1] == "one\rtwo\r"


@pytest.mark.parametrize(("policy", "confirmed"), [(True, 1), (False, 0)])
def test_a_redirect_is_no_acknowledgement_unless_the_policy_says_so(policy: bool, confirmed: int) -> None:
    world = subscribed("function", policy=Policy(telemetry_redirect_acknowledges=policy), timeout_ms=25)
    world.line("one")
    world.advance(25)
    world.feed(facts.TelemetryAnswered(world.posts()[-1].delivery, 301))
    assert len(world.of(ConfirmDelivery)) == confirmed


def test_an_oversized_record_is_delivered_whole_in_a_batch_of_its_own_size() -> None:
    world = subscribed("function", timeout_ms=25)
    world.deliver_well = True
    world.line("x" * 1_000_000)
    world.line("after")
    world.advance(25)
    assert [len(record) for record in records(world)] == [1_000_000, 5]


@pytest.mark.parametrize("before", [0, 100, MAX_BYTES - 1100, MAX_BYTES - 500])
def test_an_oversized_record_is_cut_as_seen_on_the_service(before: int) -> None:
    world = subscribed("function", policy=Policy(cut_oversized_records=True), timeout_ms=25)
    world.deliver_well = True
    if before:
        world.line("b" * (before - 70))
    text = "".join(f"{number:07} " for number in range(80_000))
    world.line(text)
    world.line("after")
    world.advance(25)
    *cut, last = world.posts()
    start = b'{"time":"' + world.published()[-1]["time"].encode() + b'","type":"function","record":"'
    whole = b""
    for post in cut[1:] if before == MAX_BYTES - 500 else cut:
        assert post.body.endswith(b"}]")
        assert len(post.body) <= MAX_BYTES + 3
        with pytest.raises(json.JSONDecodeError):
            json.loads(post.body)
        whole += post.body.rpartition(start)[2].removesuffix(b"}]")
    assert last.body.startswith(b"[" + start)
    rest, after = (event["record"] for event in json.loads(last.body))
    assert whole.decode() + rest == text
    assert after == "after"
    confirmed = [event_id for confirmed in world.of(ConfirmDelivery) for event_id in confirmed.event_ids]
    assert len(confirmed) == len(set(confirmed)) == (3 if before else 2)


def test_a_lost_part_of_a_cut_record_is_counted_in_bytes_and_its_end_as_a_record() -> None:
    policy = Policy(cut_oversized_records=True, telemetry_retry_delays_ms=())
    world = subscribed("platform", "function", policy=policy, timeout_ms=25)
    world.advance(25)
    world.feed(facts.TelemetryAnswered(world.posts()[-1].delivery, 200))
    world.line("x" * 300_000)
    lost = []
    for _ in range(2):
        world.advance(25)
        lost.append(world.posts()[-1])
        world.feed(facts.TelemetryAnswered(lost[-1].delivery, 500))
    record = world.record("platform.logsDropped")
    assert record["droppedRecords"] == 1
    assert record["droppedBytes"] == sum(len(post.body) - 2 for post in lost)


def test_who_comes_too_late_for_the_backlog_is_told_how_much_is_missing() -> None:
    world = World("a", "b", policy=Policy(telemetry_max_backlog_bytes=2_000))
    world.deliver_well = True
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE")
    for number in range(100):
        world.line(f"early {number:03}", ext("b"))
    world.subscribe("a", "platform", "extension", timeout_ms=25)
    world.advance(25)
    events = [event for post in world.posts() for event in json.loads(post.body)]
    kept = sum(event["type"] == "extension" for event in events)
    [dropped] = [event["record"] for event in events if event["type"] == "platform.logsDropped"]
    assert 0 < kept < 100
    assert kept + dropped["droppedRecords"] == 100


class Book:
    """Answers deliveries as a plan says and keeps what the subscriber has acknowledged."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen = 0
        self.got: list[dict[str, Any]] = []

    def answer(self, status: int) -> None:
        posts = self.world.posts()
        for post in posts[self.seen :]:
            if status == 200:
                self.got += json.loads(post.body)
            self.world.feed(facts.TelemetryAnswered(post.delivery, status))
        self.seen = len(posts)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("lines"), st.integers(1, 40)),
        st.tuples(st.just("advance"), st.integers(1, 400)),
        st.tuples(st.just("answer"), st.sampled_from([200, 200, 503])),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from([3_000, 8_000, 10_000_000]))
@example(
    [
        ("lines", 25),
        ("advance", 25),
        ("answer", 200),
        ("advance", 25),
        ("answer", 503),
        ("advance", 10),
        ("answer", 503),
    ],
    3_000,
)
def test_what_is_acknowledged_and_what_is_told_as_dropped_make_up_everything_in_order(
    plan: list[tuple[str, int]], memory: int
) -> None:
    policy = Policy(telemetry_max_buffered_bytes=memory, telemetry_retry_delays_ms=(10,))
    world = subscribed("platform", "function", policy=policy, timeout_ms=25)
    book, written = Book(world), 0
    for kind, value in plan:
        if kind == "lines":
            for _ in range(value):
                world.line(f"line {written:06}")
                written += 1
        elif kind == "advance":
            world.advance(value)
        else:
            book.answer(value)
    for _ in range(2):  # a count that was itself lost is told after the next batch that arrives
        for _ in range(50):
            world.advance(100)
            book.answer(200)
        world.line(f"line {written:06}")
        written += 1
    for _ in range(50):
        world.advance(100)
        book.answer(200)
    lines = [event["record"] for event in book.got if event["type"] == "function"]
    assert lines == sorted(set(lines))
    dropped = sum(event["record"]["droppedRecords"] for event in book.got if event["type"] == "platform.logsDropped")
    platform = [event for event in world.published() if str(event["type"]).startswith("platform.")]
    others = [event for event in platform if event["type"] != "platform.logsDropped"]
    heard = [event for event in book.got if event["type"] not in ("function", "platform.logsDropped")]
    assert len(lines) + len(heard) + dropped == written + len(others)
