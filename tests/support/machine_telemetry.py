"""An environment with a subscriber, and what reaches it."""

from __future__ import annotations

import json
from typing import Any

from support.machine_world import World
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.policy import Policy


def subscribed(*types: str, policy: Policy | None = None, log_format: str = "Text", **settings: Any) -> World:
    """One extension, subscribed, in the middle of an invocation."""
    world = World("a", policy=policy, log_format=log_format)
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE", "SHUTDOWN")
    assert world.subscribe("a", *types, **settings).status == 200
    world.extension_next("a")
    world.runtime_next()
    world.invoke()
    return world


def delivered(world: World) -> list[dict[str, Any]]:
    return [event for post in world.posts() for event in json.loads(post.body)]


def answer(world: World, status: int = 200, error: str = "") -> None:
    world.feed(facts.TelemetryAnswered(world.posts()[-1].delivery, status, error))


def answer_all(world: World) -> None:
    """Accept every batch, those that follow included."""
    answered = 0
    while len(world.posts()) > answered:
        answered = len(world.posts())
        answer(world)
        world.advance(1000)
