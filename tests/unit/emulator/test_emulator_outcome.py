from __future__ import annotations

import asyncio
import uuid

import pytest

from tailrace.emulator.identifiers import RandomIds
from tailrace.emulator.outcome import Outcome


def test_whoever_registers_hears_at_once_before_and_after() -> None:
    outcome: Outcome[int] = Outcome()
    heard: list[str] = []
    outcome.when_done(lambda: heard.append("before"))
    assert heard == []
    outcome.set(7)
    assert heard == ["before"]
    outcome.when_done(lambda: heard.append("after"))
    assert (heard, outcome.result()) == (["before", "after"], 7)


def test_the_first_outcome_holds() -> None:
    outcome: Outcome[int] = Outcome()
    with pytest.raises(asyncio.InvalidStateError):
        outcome.result()
    outcome.fail(ValueError("gone"))
    outcome.set(7)
    with pytest.raises(ValueError, match="gone"):
        outcome.result()


def test_one_who_stops_waiting_takes_it_from_nobody_else() -> None:
    async def scenario() -> tuple[int, int]:
        outcome: Outcome[int] = Outcome()

        async def wait() -> int:
            return await outcome

        first, second = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        outcome.set(7)
        return await second, await outcome

    assert asyncio.run(scenario()) == (7, 7)


def test_a_failure_reaches_who_awaits_and_is_nobodys_complaint_where_none_does() -> None:
    async def scenario() -> None:
        outcome: Outcome[int] = Outcome()
        outcome.future()
        outcome.fail(ValueError("gone"))
        with pytest.raises(ValueError, match="gone"):
            await outcome

    asyncio.run(scenario())


def test_identifiers_are_random_uuids_whatever_was_drawn_before() -> None:
    ids = RandomIds()
    drawn = [ids.uuid() for _ in range(1000)] + [ids.digits(24) and ids.uuid() for _ in range(1000)]
    read = [uuid.UUID(text) for text in drawn]
    assert [str(each) for each in read] == drawn
    assert {(each.version, each.variant) for each in read} == {(4, uuid.RFC_4122)}
    assert len(set(drawn)) == 2000


def test_a_pool_is_used_once() -> None:
    pools = iter([bytes([1]) * 4096, bytes([2]) * 4096])
    ids = RandomIds(lambda count: next(pools)[:count])
    assert ids.digits(8184) == "01" * 4092
    assert ids.digits(4) == "0202"
