"""What holds of all effects of an environment, whatever has happened."""

from __future__ import annotations

import itertools
import json
from collections import Counter

from support.machine_states import REQUEST, all_facts
from support.machine_world import World
from tailrace.emulator.machine import effects as fx
from tailrace.emulator.machine import facts
from tailrace.protocol.platform_events import problems_of


def finish(world: World) -> None:
    """From anywhere, a shutdown ends the environment, and every invoker has its answer."""
    world.shut_down()
    for _ in range(20):
        if world.machine.phase == "ended":
            break
        running = living(world)
        for process, generation in running:
            world.feed(facts.ProcessExited(process, generation, 0, None))
        world.advance(2000)
    assert world.machine.phase == "ended"
    asked = {effect.answer.request_id for effect in world.of(fx.AnswerInvoker)}
    assert asked == {report.request_id for report in world.reports()}
    assert sum(isinstance(effect, fx.EndEnvironment) for effect in world.effects) == 1
    check(world)
    check_nothing_follows_the_end(world)


def check_nothing_follows_the_end(world: World) -> None:
    """Whoever still asks is answered, and that is all."""
    identifier = world.identifiers.get("a", REQUEST)
    for fact in all_facts(identifier):
        for effect in world.machine.handle(fact, world.now_ns):
            assert isinstance(effect, fx.Respond | fx.AnswerInvoker | fx.CloseInvocation)


def living(world: World) -> list[tuple[str, int]]:
    return [(spawn.process, spawn.generation) for spawn in world.of(fx.SpawnProcess)]


def check(world: World) -> None:
    """What must hold of all effects so far."""
    exchanges = Counter(effect.exchange for effect in world.of(fx.Respond))
    assert max(exchanges.values(), default=0) <= 1
    answers = Counter(effect.answer.request_id for effect in world.of(fx.AnswerInvoker))
    closes = Counter(effect.report.request_id for effect in world.of(fx.CloseInvocation))
    assert max(answers.values(), default=0) <= 1
    assert max(closes.values(), default=0) <= 1
    assert set(closes) <= set(answers)
    check_order(world)
    check_deliveries(world)
    for event in world.published():
        assert problems_of(event) == []


def check_order(world: World) -> None:
    """An answer precedes its end; nothing runs while frozen; times and ids of events never go back."""
    frozen = False
    answered_ids: set[str] = set()
    last_id, last_time = 0, ""
    for effect in world.effects:
        if isinstance(effect, fx.Freeze | fx.Thaw):
            assert frozen is isinstance(effect, fx.Thaw)
            frozen = isinstance(effect, fx.Freeze)
        elif isinstance(effect, fx.PostTelemetry | fx.SpawnProcess | fx.SignalProcess):
            assert not frozen
        elif isinstance(effect, fx.SetTimer):
            assert not frozen or effect.timer == "invoke-deadline"  # frozen by hand, where deadlines run on
        elif isinstance(effect, fx.AnswerInvoker):
            answered_ids.add(effect.answer.request_id)
        elif isinstance(effect, fx.CloseInvocation):
            assert effect.report.request_id in answered_ids
        elif isinstance(effect, fx.PublishEvent):
            assert effect.event_id > last_id
            assert str(effect.event["time"]) >= last_time
            last_id, last_time = effect.event_id, str(effect.event["time"])


def check_deliveries(world: World) -> None:
    """Each batch is valid JSON, in order, and begins where the one before ended, unless it is tried again."""
    for name in {post.subscriber for post in world.posts()}:
        batches = [ids for ids, _ in itertools.groupby(post.event_ids for post in world.posts(name))]
        flat = list(itertools.chain.from_iterable(batches))
        assert len(set(flat)) == len(flat)
        assert flat == sorted(flat)
    for post in world.posts():
        assert len(json.loads(post.body)) == len(post.event_ids)
