"""Every fact in every state of an environment: nothing raises, and what must hold, holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.machine_promises import check, finish
from support.machine_states import REQUEST, STATES, all_facts
from support.machine_world import World
from tailrace.emulator.machine import effects as fx
from tailrace.emulator.machine import facts
from tailrace.protocol import extensions_api, runtime_api

N_FACTS = len(all_facts(""))


@pytest.mark.parametrize("state", STATES, ids=lambda state: str(state.__name__))
@pytest.mark.parametrize("at", range(N_FACTS))
def test_every_fact_in_every_state_is_taken(state: Callable[[], World], at: int) -> None:
    world = state()
    fact = all_facts(world.identifiers.get("a", REQUEST))[at]
    for effect in world.feed(fact):
        assert isinstance(effect, fx.Effect)
    if isinstance(fact, facts.HttpRequested) and fact.path not in (runtime_api.NEXT, extensions_api.NEXT):
        assert len([effect for effect in world.last if isinstance(effect, fx.Respond)]) >= 1
    check(world)
    finish(world)
