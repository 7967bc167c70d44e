"""Splitting telemetry bodies and making lines: no event is lost, changed or broken over two lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.protocol.events import line_of, request_id_of, split_events
from tailrace.protocol.jsontext import RawText, depth_is_within, dumps, loads, quote, scan

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
events = json_values | st.fixed_dictionaries(
    {"time": st.text(max_size=5), "type": st.text(max_size=5), "record": json_values},
    optional={"requestId": json_values, "functionName": st.text(), "seq": st.integers()},
)
layouts = st.sampled_from([{"separators": (",", ":")}, {"indent": 2}, {"indent": "\t"}, {"ensure_ascii": False}, {}])
LEFT = {"time": "t", "type": "platform.start", "record": {"requestId": "left"}}
RIGHT = {"time": "t", "type": "function", "record": "right"}


def encode(value: object, layout: dict[str, Any]) -> bytes:
    return json.dumps(value, **layout).encode("utf-8", "surrogatepass")


def with_neighbours(middle: bytes) -> bytes:
    return b"[" + json.dumps(LEFT).encode() + b"," + middle + b"," + json.dumps(RIGHT).encode() + b"]"


@given(st.lists(events, max_size=5), layouts)
def test_any_events_come_out_as_they_went_in(batch: list[object], layout: dict[str, object]) -> None:
    split = split_events(encode(batch, layout))
    assert split.unparsable_bytes == 0
    assert [json.loads(event.raw) for event in split.events] == json.loads(json.dumps(batch))
    for event in split.events:
        assert "\n" not in event.raw
        assert "\r" not in event.raw


@given(events, layouts, st.none() | st.text(max_size=9), st.text(max_size=9), st.integers(min_value=0))
@example({}, {"indent": 2}, None, "f", 1)
@example([], {}, "id", "f", 1)
@example({"a": "\u2028\x85"}, {"ensure_ascii": False}, "id", "\ud800", 1)
def test_a_line_is_one_line_and_holds_the_event_and_our_members(
    event: object, layout: dict[str, object], request_id: str | None, name: str, seq: int
) -> None:
    [taken] = split_events(encode([event], layout)).events
    line = line_of(taken.raw, taken.value, request_id, name, seq)
    assert b"\n" not in line
    assert b"\r" not in line
    ours = {"requestId": request_id, "functionName": name, "seq": seq}
    expected = {**ours, **event} if isinstance(event, dict) else {"record": event, **ours}
    assert json.loads(line) == json.loads(json.dumps(expected))


@given(st.lists(events, max_size=4), st.binary(max_size=20), layouts)
def test_a_garbage_tail_costs_no_event_before_it(batch: list[object], tail: bytes, layout: dict[str, object]) -> None:
    whole = encode(batch, layout)
    split = split_events(whole + tail)
    assert [json.loads(event.raw) for event in split.events[: len(batch)]] == json.loads(json.dumps(batch))


@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:\\ \n\r1e-tn', max_size=60).map(str.encode))
def test_no_body_raises_and_every_line_is_one_line(body: bytes) -> None:
    split = split_events(body)
    for event in split.events:
        line = line_of(event.raw, event.value, None, "f", 1)
        assert b"\n" not in line
        assert b"\r" not in line


@given(st.integers(min_value=0, max_value=60))
def test_a_body_cut_anywhere_keeps_the_events_before_the_cut(cut: int) -> None:
    first, second = json.dumps(LEFT).encode(), json.dumps(RIGHT).encode()
    body = b"[" + first + b"," + second + b"]"
    split = split_events(body[: len(first) + 2 + min(cut, len(second) - 1)])
    assert [event.value for event in split.events] == [LEFT]
    assert split.unparsable_bytes == min(cut, len(second) - 1)


DEEP = 100_000


@pytest.mark.parametrize(
    "record",
    [
        "[" * DEEP + "]" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        '["]",' * DEEP + "1" + "]" * DEEP,
        '{"requestId":"r","n":' + "9" * 10_000 + "}",
        "-" + "9" * 10_000,
        '"\\ud800 and \\udc00"',
        '"a\nb\tc"',
        "null",
        "7",
        "[]",
        "{}",
        "1e999",
    ],
    ids=["arrays", "objects", "brackets in strings", "integer", "bare integer", "surrogates", "control", *"abcde"],
)
def test_neighbours_of_an_odd_record_survive(record: str) -> None:
    middle = f'{{"time":"t","type":"function",\n"record":{record}}}'
    split = split_events(with_neighbours(middle.encode()))
    assert split.unparsable_bytes == 0
    left, odd, right = split.events
    assert (left.value, right.value) == (LEFT, RIGHT)
    assert (odd.time, odd.type) == ("t", "function")
    assert odd.raw == middle.replace("\n", " ") or odd.raw == middle.replace("\nb\t", "\\u000ab\\u0009").replace(
        "\n", " "
    )
    line = line_of(odd.raw, odd.value, "id", "f", 3)
    assert line.endswith(b',"requestId":"id","functionName":"f","seq":3}')
    assert b"\n" not in line


@pytest.mark.parametrize("middle", ["[" * DEEP + "]" * DEEP, "9" * 10_000, "null", "[1,\n2]", '"x"', "true"])
def test_neighbours_of_an_event_that_is_no_object_survive(middle: str) -> None:
    split = split_events(with_neighbours(middle.encode()))
    assert [event.value for event in split.events[::2]] == [LEFT, RIGHT]
    assert split.events[1].raw == middle.replace("\n", " ")
    assert line_of(split.events[1].raw, split.events[1].value, None, "f", 1).startswith(b'{"record":')


def test_invalid_utf8_is_replaced_and_its_neighbours_survive() -> None:
    split = split_events(with_neighbours(b'{"time":"t","type":"function","record":"a\xff\xfeb"}'))
    assert [event.value for event in split.events[::2]] == [LEFT, RIGHT]
    assert split.events[1].value == {"time": "t", "type": "function", "record": "a\ufffd\ufffdb"}


def test_many_odd_events_among_good_ones_all_come_out_in_order() -> None:
    odd = '{"type":"function","record":' + "9" * 5000 + "}"
    good = [json.dumps({"type": "function", "record": number}) for number in range(200)]
    mixed = [text for text in good for text in (odd, text)]
    split = split_events(f"[{','.join(mixed)}]".encode())
    assert [event.raw for event in split.events] == mixed
    assert split.unparsable_bytes == 0


def test_a_huge_integer_beside_a_request_id_hides_neither() -> None:
    record = '{"requestId":"r","n":' + "9" * 10_000 + "}"
    [event] = split_events(f'[{{"type":"platform.start","record":{record}}}]'.encode()).events
    assert request_id_of(event.value) == "r"
    assert line_of(event.raw, event.value, None, "f", 1).startswith(b'{"type":"platform.start","record":{"requestId"')


def test_a_deep_member_beside_a_request_id_hides_neither() -> None:
    record = '{"requestId":"r","n":' + "[" * DEEP + "]" * DEEP + "}"
    [event] = split_events(f'[{{"type":"platform.start","record":{record}}}]'.encode()).events
    assert request_id_of(event.value) == "r"


def test_a_body_without_an_array_is_read_value_by_value() -> None:
    split = split_events(b'{"type":"a"}\n{"type":"b"}\nnonsense')
    assert [event.type for event in split.events] == ["a", "b"]
    assert split.unparsable_bytes == len("nonsense")


@pytest.mark.parametrize("body", [b"", b" \n", b"[]", b"[ ]\n", b"\xef\xbb\xbf[]"])
def test_empty_bodies_hold_nothing(body: bytes) -> None:
    split = split_events(body)
    assert (split.events, split.unparsable_bytes) == ([], 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "platform.start", "record": {"requestId": "r"}}, "r"),
        ({"type": "function", "record": {"requestId": "r"}}, None),
        ({"type": "platform.start", "record": {"requestId": 5}}, None),
        ({"type": "platform.fault", "record": "RequestId: r"}, None),
        ({"type": "platform.start"}, None),
        ({"type": 3, "record": {"requestId": "r"}}, None),
        (None, None),
        ([], None),
    ],
)
def test_only_platform_events_name_their_request(value: object, expected: str | None) -> None:
    assert request_id_of(value) == expected


@given(json_values)
def test_dumps_writes_what_loads_and_the_standard_library_read(value: object) -> None:
    text = dumps(value)
    assert text.isascii()
    assert json.loads(text) == json.loads(json.dumps(value))
    assert loads(f" {text}\n") == json.loads(json.dumps(value))


@pytest.mark.parametrize("text", ["", " ", "{", "[1,]", "nul", "1 2", '"a', "[" * DEEP, "{'a':1}", "\x00"])
def test_loads_refuses_what_is_not_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting|Unterminated|value|text|Illegal"):
        loads(text)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": b"x"}])
def test_dumps_refuses_what_json_has_no_word_for(value: object) -> None:
    with pytest.raises(TypeError):
        dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_dumps_refuses_numbers_that_json_cannot_write(value: float) -> None:
    with pytest.raises(ValueError, match="JSON cannot write"):
        dumps(value)


def test_scan_reads_a_value_inside_a_text() -> None:
    assert scan('xx{"a":[1]}yy', 2) == ({"a": [1]}, 11)
    with pytest.raises(ValueError, match="no JSON value"):
        scan("xx", 2)
    assert quote('a"\n\ud800é') == '"a\\"\\n\\ud800\\u00e9"'
    assert dumps({"a": RawText("[1]")}) == '{"a":[1]}'


def depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(json_values, st.integers(min_value=0, max_value=6))
def test_nesting_is_never_underestimated(value: object, limit: int) -> None:
    if depth_is_within(json.dumps(value).encode(), limit):
        assert depth(value) <= limit


@pytest.mark.parametrize(("nesting", "within"), [(199, True), (200, True), (201, False)])
def test_nesting_is_measured_exactly_in_wide_documents(nesting: int, within: bool) -> None:
    wide = "[" + ",".join(["[" * (nesting - 1) + "]" * (nesting - 1)] * 30) + "]"
    assert depth_is_within(wide.encode(), 200) is within
