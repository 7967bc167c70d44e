from __future__ import annotations

import pytest

from tailrace.model.record import Record
from tailrace.processors.attribute import Attributor
from tailrace.processors.own_lines import is_own_line


def at(second: str) -> str:
    return f"2026-11-20T21:00:{second}.000Z"


def platform(kind: str, request_id: object, second: str = "00") -> Record:
    event = {"time": at(second), "type": kind, "record": {"requestId": request_id}}
    return Record(1, at(second), kind, event, None)


def line(content: object = "text", second: str = "00", kind: str = "function") -> Record:
    return Record(1, at(second), kind, {"time": at(second), "type": kind, "record": content}, None)


def stamped(*records: Record, concurrent: bool = False) -> list[str | None]:
    attributor = Attributor(concurrent)
    for record in records:
        attributor.stamp(record)
    return [record.request_id for record in records]


def test_platform_events_name_their_own_request() -> None:
    assert stamped(
        platform("platform.start", "a"), platform("platform.report", "z"), platform("platform.initStart", None)
    ) == ["a", "z", None]


def test_function_lines_belong_to_the_invocation_they_came_in() -> None:
    assert stamped(
        line(),
        platform("platform.start", "a", "01"),
        line(second="02"),
        platform("platform.runtimeDone", "a", "03"),
        platform("platform.start", "b", "10"),
        line(second="11"),
    ) == [None, "a", "a", "a", "b", "b"]


def test_a_straggler_belongs_to_the_invocation_before_if_it_is_not_later() -> None:
    assert stamped(
        platform("platform.start", "a", "01"),
        platform("platform.runtimeDone", "a", "03"),
        line(second="02"),
        line(second="03"),
        line(second="04"),
        platform("platform.report", "a", "04"),
        platform("platform.start", "b", "10"),
        line(second="02"),
        line(second="05"),
        line(second="10"),
    ) == ["a", "a", "a", "a", None, "a", "b", "a", "b", "b"]


def test_lines_of_a_batch_that_comes_twice_belong_to_whichever_ran_when_they_were_written() -> None:
    batch = [("a", "02"), ("a", "03"), ("b", "12"), ("b", "13")]
    records = [platform("platform.start", "a", "01")]
    for _ in range(2):
        records += [line(second=second) for _, second in batch[:2]]
        records += [platform("platform.runtimeDone", "a", "04"), platform("platform.start", "b", "11")]
        records += [line(second=second) for _, second in batch[2:]]
        records += [platform("platform.runtimeDone", "b", "14")]
    records += [platform("platform.start", "c", "21"), line(second="02"), line(second="12"), line(second="22")]

    of_lines = [owner for record, owner in zip(records, stamped(*records), strict=True) if record.type == "function"]
    assert of_lines == ["a", "a", "b", "b"] * 2 + ["a", "b", "c"]


def test_a_late_line_of_a_time_when_nothing_ran_belongs_to_nobody() -> None:
    assert (
        stamped(
            platform("platform.start", "a", "01"),
            platform("platform.runtimeDone", "a", "03"),
            platform("platform.start", "b", "11"),
            platform("platform.runtimeDone", "b", "13"),
            line(second="07"),
        )[-1]
        is None
    )


def test_times_without_decimals_compare_as_those_with() -> None:
    straggler = line()
    straggler.time = "2026-11-20T21:00:03Z"
    assert stamped(platform("platform.start", "a", "01"), platform("platform.runtimeDone", "a", "03"), straggler) == [
        "a",
        "a",
        "a",
    ]


def test_a_line_without_a_time_after_the_end_belongs_to_nobody() -> None:
    timeless = line()
    timeless.time = "yesterday"
    records = [platform("platform.start", "a"), platform("platform.runtimeDone", "a"), timeless]
    assert stamped(*records)[-1] is None


def test_an_object_line_keeps_its_own_request() -> None:
    late = line({"message": "late", "requestId": "a"}, "05")
    odd = line({"message": "x", "requestId": 7}, "05")
    events = (platform("platform.start", "a"), platform("platform.report", "a"), platform("platform.start", "b"))
    assert stamped(*events, late, odd) == ["a", "a", "b", "a", "b"]


def test_a_request_id_that_is_the_customers_own_word_does_not_count_where_order_knows() -> None:
    before, within = (line({"message": "paid", "requestId": "order-7"}, "05") for _ in range(2))
    assert stamped(before, platform("platform.start", "a"), within) == [None, "a", "a"]
    both = line({"requestId": "order-7", "AWSRequestId": "a"})
    done = platform("platform.runtimeDone", "a")
    assert stamped(platform("platform.start", "a"), done, platform("platform.start", "b"), both)[-1] == "a"


def test_extensions_lines_and_odd_events_stay_without() -> None:
    odd = Record(1, "", "", None, "null")
    assert stamped(platform("platform.start", "a"), line(kind="extension"), odd, line()) == ["a", None, None, "a"]


def test_a_report_ends_an_invocation_whose_end_was_lost() -> None:
    assert stamped(
        platform("platform.start", "a", "01"), platform("platform.report", "a", "03"), line(second="04")
    ) == ["a", "a", None]


def test_order_says_nothing_where_invocations_run_at_once() -> None:
    own, other, nonsense = line({"requestId": "a"}), line({"requestId": B}), line({"requestId": "nonsense"})
    events = (platform("platform.start", "a"), line(), own, other, nonsense)
    assert stamped(*events, concurrent=True) == ["a", None, "a", B, None]


@pytest.mark.parametrize("kind", ["platform.initStart", "platform.initReport"])
def test_that_invocations_run_at_once_is_known_from_the_platforms_own_events(kind: str) -> None:
    init = Record(1, at("00"), kind, {"type": kind, "record": {"initializationType": "lambda-managed-instances"}}, None)
    assert stamped(init, platform("platform.start", "a"), line(), line({"requestId": "nonsense"})) == [
        None, "a", None, None,
    ]  # fmt: skip


def test_while_two_invocations_are_open_order_says_nothing() -> None:
    start_a, start_b = platform("platform.start", "a", "01"), platform("platform.start", "b", "02")
    own = line('{"level":"warn","requestId":"a"}', "03")
    records = [start_a, start_b, line(second="03"), own, platform("platform.report", "b", "04")]
    records += [line(second="05"), platform("platform.report", "a", "06"), platform("platform.start", "c", "07")]
    assert stamped(*records, line(second="08"))[2:] == [None, "a", "b", None, "a", "c", "c"]


def test_when_the_end_of_the_first_one_is_told_the_other_gets_its_lines() -> None:
    records = [platform("platform.start", "a", "01"), platform("platform.start", "b", "02")]
    records += [platform("platform.report", "a", "03"), line(second="04")]
    assert stamped(*records)[-1] == "b"


def billed(request_id: str, second: str) -> Record:
    report = platform("platform.report", request_id, second)
    report.event["record"]["metrics"] = {"durationMs": 7.5, "billedDurationMs": 8}  # type: ignore[index] # made above
    return report


def after_a_lost_end(end_of_b: Record, initialization: str = "") -> list[str | None]:
    """Of a line before the end of b, and of one of each invocation after it."""
    attributor = Attributor(initialization=initialization)
    lines = [line(second=second) for second in ("03", "06", "09")]
    records = [platform("platform.start", "a", "01"), platform("platform.start", "b", "02"), lines[0], end_of_b]
    records += [platform("platform.start", "c", "05"), lines[1], platform("platform.report", "c", "07")]
    for record in (*records, platform("platform.start", "d", "08"), lines[2]):
        attributor.stamp(record)
    return [one.request_id for one in lines]


@pytest.mark.parametrize("initialization", ["", "on-demand", "provisioned-concurrency", "snap-start"])
def test_a_lost_end_makes_lines_unsure_until_the_next_end(initialization: str) -> None:
    assert after_a_lost_end(platform("platform.runtimeDone", "b", "04"), initialization) == [None, "c", "d"]
    assert after_a_lost_end(billed("b", "04"), initialization) == [None, "c", "d"]


def test_a_report_without_billing_proves_nothing_of_others_unless_the_kind_is_known() -> None:
    assert after_a_lost_end(platform("platform.report", "b", "04")) == [None, None, None]
    assert after_a_lost_end(platform("platform.report", "b", "04"), "on-demand") == [None, "c", "d"]


def test_where_invocations_run_at_once_no_end_proves_another() -> None:
    init = {"type": "platform.initStart", "record": {"initializationType": "lambda-managed-instances"}}
    records = [Record(1, at("00"), "platform.initStart", init, None), platform("platform.start", "a", "01")]
    records += [platform("platform.start", "b", "02"), platform("platform.runtimeDone", "b", "03")]
    assert stamped(*records, line(second="04"))[-1] is None


def test_an_end_without_its_start_proves_that_what_began_before_is_over() -> None:
    records = [platform("platform.start", "a", "01"), platform("platform.runtimeDone", "b", "03"), line(second="04")]
    records += [platform("platform.start", "c", "05"), line(second="06")]
    assert stamped(*records)[2:] == [None, "c", "c"]


def test_an_end_without_its_start_proves_nothing_of_what_began_after_it() -> None:
    records = [platform("platform.start", "a", "03"), platform("platform.runtimeDone", "b", "02"), line(second="04")]
    assert stamped(*records)[-1] == "a"


def test_the_end_of_an_invocation_that_is_told_after_that_of_the_next_takes_it_no_lines() -> None:
    records = [platform("platform.start", "a", "01"), platform("platform.start", "b", "03")]
    records += [platform("platform.runtimeDone", "b", "06"), platform("platform.runtimeDone", "a", "02")]
    records += [platform("platform.start", "c", "08"), line(second="05"), line(second="09")]
    assert stamped(*records)[-2:] == ["b", "c"]


def test_a_batch_that_comes_twice_does_not_begin_again_what_has_ended_untold() -> None:
    start_a = platform("platform.start", "a", "01")
    records = [start_a, platform("platform.start", "b", "03"), platform("platform.runtimeDone", "b", "04")]
    records += [platform("platform.start", "a", "01"), platform("platform.start", "c", "05"), line(second="06")]
    assert stamped(*records)[-1] == "c"


def test_a_lost_end_is_forgotten_when_no_invocation_can_run_so_long() -> None:
    def later(record: Record) -> Record:
        record.time = record.time.replace("T21:00", "T21:16")
        return record

    records = [platform("platform.start", "a", "01"), later(platform("platform.start", "b", "02"))]
    assert stamped(*records, later(line(second="03")))[-1] == "b"


def test_the_same_request_may_come_again_after_a_failure() -> None:
    records = [platform("platform.start", "a", "01"), platform("platform.runtimeDone", "a", "02")]
    records += [platform("platform.start", "a", "05"), line(second="06"), platform("platform.runtimeDone", "a", "07")]
    assert stamped(*records, line(second="08"))[-3:] == ["a", "a", None]


@pytest.mark.parametrize(
    ("content", "owner"),
    [
        ('{"level":"warn","requestId":"a"}', "a"),
        (' {"message":"x","function_request_id":"a"}\n', "a"),
        ('{"requestId":"order-7","awsRequestId":"a"}', "a"),
        ('{"requestId":"order-7"}', "b"),
        ('{"requestId":"a"', "b"),
        ('{"nested":{"requestId":"a"}}', "b"),
        ('[{"requestId":"a"}]', "b"),
        ('{"requestId":' + "[" * 100_000, "b"),
    ],
)
def test_json_that_is_written_as_text_names_its_request_too(content: str, owner: str) -> None:
    records = [platform("platform.start", "a", "01"), platform("platform.runtimeDone", "a", "02")]
    assert stamped(*records, platform("platform.start", "b", "03"), line(content, "04"))[-1] == owner


A, B = ("5b1d9f2e-3c4d-4e5f-8a9b-0c1d2e3f4a5b", "6c2e0a3f-4d5e-4f60-9bac-1d2e3f4a5b6c")


@pytest.mark.parametrize(
    ("content", "own"),
    [
        ({"AWSRequestId": B}, B),
        ({"awsRequestId": B}, B),
        ({"aws_request_id": B}, B),
        ({"function_request_id": B}, B),
        ({"AWSRequestId": "", "requestId": 3}, None),
        (f"[ERROR]\t2026-11-20T21:00:00.000Z\t{B}\tno stock", B),
        (f"2026-11-20T21:00:00.000Z\t{B}\tINFO\tsold", B),
        ("2026-11-20T21:00:00.000Z\tundefined\tINFO\tsold", None),
        (f"a\t{B[:-1]}\tb\tc", None),
        (f"a\t{B}", None),
        (f"sold in {B}", None),
        ("a\tb\tc\td", None),
        (["requestId", B], None),
    ],
)
def test_where_invocations_run_at_once_a_line_belongs_to_the_request_it_names_and_to_none_other(
    content: object, own: str | None
) -> None:
    assert stamped(platform("platform.start", A), platform("platform.start", B), line(content), concurrent=True) == [
        A,
        B,
        own,
    ]
    # one after the other: what it names where that ran, else by order
    records = [platform("platform.start", B), platform("platform.runtimeDone", B), platform("platform.start", A, "01")]
    assert stamped(*records, line(content, "02"))[-1] == (own or A)


@pytest.mark.parametrize("request_id", [None, 7, "", [], {}])
def test_an_odd_request_id_of_a_platform_event_changes_nothing(request_id: object) -> None:
    assert stamped(platform("platform.start", "a"), platform("platform.start", request_id), line()) == ["a", None, "a"]


@pytest.mark.parametrize(
    ("record", "own"),
    [
        (line('{"type":"tailrace.log","level":"warn","message":"x"}', kind="extension"), True),
        (line('{"type":"tailrace.ledger","none":{}}\n', kind="extension"), True),
        (line({"type": "tailrace.ledger", "none": {}}, kind="extension"), True),
        (line('{"type":"tailrace.logger"}', kind="extension"), False),
        (line('{"message":"about \\"type\\":\\"tailrace.log\\""}', kind="extension"), False),
        (line({"type": "other"}, kind="extension"), False),
        (line(None, kind="extension"), False),
        (line('{"type":"tailrace.log"}', kind="function"), False),
        (Record(1, "", "extension", None, "null"), False),
    ],
)
def test_own_lines_are_known_by_their_first_member(record: Record, own: bool) -> None:
    assert is_own_line(record) is own
