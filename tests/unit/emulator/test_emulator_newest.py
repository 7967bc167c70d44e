from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.emulator_async import run
from tailrace.emulator.function import Answer, Invocation, Report
from tailrace.emulator.invocation_log import TAIL_BYTES, InvocationLog, memory_of_line
from tailrace.emulator.invocations import PendingInvocation
from tailrace.emulator.machine.effects import WriteLog
from tailrace.emulator.newest import Newest, memory_of

REPORT = Report("id-1", "success", "", 1.0, 2, 128, 30, None)


def line(text: str, source: str = "function") -> WriteLog:
    return WriteLog(source, text, "id-1")


@given(st.lists(st.text(max_size=50)), st.integers(1, 400))
def test_the_newest_are_kept_as_far_as_they_fit_and_the_others_counted(texts: list[str], max_bytes: int) -> None:
    kept: Newest[str] = Newest(max_bytes, len)
    for text in texts:
        kept.append(text)
        assert kept.kept_bytes == sum(map(len, kept))
        assert kept.kept_bytes <= max_bytes or len(kept) == 1
    assert [*texts[: kept.n_left_out], *kept] == texts
    left_out = texts[kept.n_left_out - 1 : kept.n_left_out]
    assert all(kept.kept_bytes + len(text) > max_bytes for text in left_out)


def test_one_that_is_too_large_is_kept_alone() -> None:
    kept: Newest[str] = Newest(10, len)
    for text in ("a", "b" * 11):
        kept.append(text)
    assert (kept.copy(), kept.n_left_out) == (["b" * 11], 1)


def test_a_documents_memory_counts_its_texts() -> None:
    assert memory_of("x" * 1000) == sys.getsizeof("x" * 1000)
    assert memory_of({"a": ["x" * 1000, {"b": "y" * 1000}], "c": 1}) > 2000
    assert memory_of("€" * 1000) > 2000


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["function", "platform", "extension"]),
            st.one_of(st.text(max_size=20), st.sampled_from(["x" * 4095, "ü" * 3000, "€" * 700, "\ud800"])),
        )
    )
)
def test_the_tail_is_that_of_all_lines_however_few_are_kept(lines: list[tuple[str, str]]) -> None:
    log = InvocationLog(max_bytes=1)
    for source, text in lines:
        log.append(line(text, source))
    whole = "".join(f"{text}\n" for source, text in lines if source != "extension")
    assert log.tail() == whole.encode("utf-8", "replace")[-TAIL_BYTES:]
    assert len(log.lines) == min(len(lines), 1)


def test_a_talkative_extension_does_not_push_out_the_functions_tail() -> None:
    log = InvocationLog(max_bytes=10_000)
    log.append(line("START", "platform"))
    for _ in range(1000):
        log.append(line("x" * 100, "extension"))
    assert "START" not in [kept.text for kept in log.lines]
    assert log.tail() == b"START\n"


def test_of_a_hundred_megabytes_only_as_much_as_is_allowed_is_kept() -> None:
    log = InvocationLog()
    text = "y" * 1_000_000
    for n in range(100):
        log.append(line(f"{n}{text}"))
    assert sum(map(memory_of_line, log.lines)) <= 8 * 1_048_576
    assert log.lines.n_left_out == 100 - len(log.lines) == 92


def test_an_invocations_result_says_how_many_lines_are_not_there() -> None:
    async def main() -> None:
        pending = PendingInvocation(Invocation("id-1", b"{}"))
        for n in range(20):
            pending.log.append(line(f"{n:02}" + "z" * 1_000_000))
        pending.answer(Answer("id-1", b"{}"))
        result = pending.close(REPORT)
        assert [kept.text[:2] for kept in result.logs] == ["12", "13", "14", "15", "16", "17", "18", "19"]
        assert result.n_logs_left_out == 12

    run(main())


@pytest.mark.parametrize("n_bytes", [0, 1, TAIL_BYTES - 1, TAIL_BYTES, TAIL_BYTES + 1])
def test_the_tail_is_exact_around_its_size(n_bytes: int) -> None:
    log = InvocationLog()
    log.append(line("a" * n_bytes))
    assert log.tail() == (b"a" * n_bytes + b"\n")[-TAIL_BYTES:]
