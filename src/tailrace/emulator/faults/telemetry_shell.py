"""Between the sender of telemetry and the machine: what the platform hears of a delivery is not what happened."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from tailrace.emulator.faults import kinds
from tailrace.emulator.faults.effects import PostTelemetryBadly, SignalDuringPost
from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.faults.half_sent import send_half
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.effects import PostTelemetry
from tailrace.emulator.machine.facts import TelemetryAnswered
from tailrace.emulator.telemetry.address import describe

_RESET = "connection reset by peer"


class Sender(Protocol):
    """What delivers: see `tailrace.emulator.telemetry.sender`."""

    def post(self, effect: PostTelemetry) -> None: ...

    def cut(self, subscriber: str = "") -> None:
        """Reset the connection to a subscriber, or (empty) those to all that have nothing in flight."""


class _UnderWay:
    """A delivery with a fault: the answers that are still to come count down."""

    __slots__ = ("fault", "handle", "post", "repeats", "task")

    def __init__(self, post: PostTelemetry, fault: Fault | None) -> None:
        self.post = post
        self.fault = fault
        self.repeats = fault.number("copies") if fault is not None and fault.what == kinds.DUPLICATE else 0
        self.handle: asyncio.Handle | None = None
        self.task: asyncio.Task[None] | None = None


class TelemetryShell:
    """`emit` tells the machine. The sender's answers come in through `answered`."""

    def __init__(self, emit: Callable[[facts.Fact], None]) -> None:
        self._emit = emit
        self._under_way: dict[int, _UnderWay] = {}
        self.sender: Sender | None = None

    def post(self, effect: PostTelemetryBadly) -> None:
        """Deliver with a fault."""
        assert self.sender is not None
        fault, post = effect.fault, effect.post
        self._under_way[post.delivery] = _UnderWay(post, fault)
        if fault.parameters.get("reaches_subscriber", True):
            self.sender.post(post)
            return
        if fault.what == kinds.RESET:
            self.sender.cut(post.subscriber)
        self._later(post.delivery, 0, self._as_seen(fault, TelemetryAnswered(post.delivery, 0, _RESET)))

    def post_and_signal(self, effect: SignalDuringPost, send_signal: Callable[[], None]) -> None:
        """Deliver half of it, send the signal, and tell what became of the connection."""
        under_way = self._under_way[effect.post.delivery] = _UnderWay(effect.post, None)
        under_way.task = asyncio.create_task(self._send_half(effect.post, send_signal))

    async def _send_half(self, post: PostTelemetry, send_signal: Callable[[], None]) -> None:
        try:
            error = await send_half(post, send_signal)
        except (OSError, ValueError) as failure:
            send_signal()
            error = describe(failure)
        if self._under_way.pop(post.delivery, None) is not None:
            self._emit(TelemetryAnswered(post.delivery, 0, error))

    def answered(self, fact: facts.Fact) -> None:
        """What the sender heard. The machine is told what the fault makes of it."""
        under_way = self._under_way.get(fact.delivery) if isinstance(fact, TelemetryAnswered) else None
        if under_way is None or under_way.fault is None or not isinstance(fact, TelemetryAnswered):
            self._emit(fact)
        else:
            self._answered_with_fault(fact, under_way, under_way.fault)

    def _answered_with_fault(self, fact: TelemetryAnswered, under_way: _UnderWay, fault: Fault) -> None:
        if fault.what == kinds.DUPLICATE and under_way.repeats and 200 <= fact.status < 300:
            under_way.repeats -= 1
            self._again(under_way.post)
        elif fault.what == kinds.LATE:
            self._later(fact.delivery, fault.number("delay_ms"), fact)
        else:
            if fault.what == kinds.RESET and self.sender is not None:
                self.sender.cut(under_way.post.subscriber)
            del self._under_way[fact.delivery]
            self._emit(self._as_seen(fault, fact))

    def abandon(self, delivery: int) -> None:
        """The machine has stopped waiting; what the sender does about it is its own business."""
        under_way = self._under_way.pop(delivery, None)
        if under_way is None:
            return
        if under_way.task is not None:
            under_way.task.cancel()
        if under_way.handle is not None:
            under_way.handle.cancel()
            if self.sender is not None:
                self.sender.cut(under_way.post.subscriber)

    async def close(self) -> None:
        tasks = [under_way.task for under_way in self._under_way.values() if under_way.task is not None]
        for delivery in list(self._under_way):
            self.abandon(delivery)
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _as_seen(self, fault: Fault, fact: TelemetryAnswered) -> TelemetryAnswered:
        if fault.what == kinds.RESET:
            return TelemetryAnswered(fact.delivery, 0, _RESET)
        if fault.what == kinds.STATUS_5XX:
            return TelemetryAnswered(fact.delivery, fault.number("status"))
        return fact

    def _again(self, post: PostTelemetry) -> None:
        assert self.sender is not None
        self.sender.post(post)

    def _later(self, delivery: int, after_ms: int, fact: TelemetryAnswered) -> None:
        def tell() -> None:
            if self._under_way.pop(delivery, None) is not None:
                self._emit(fact)

        loop = asyncio.get_running_loop()
        self._under_way[delivery].handle = loop.call_later(after_ms / 1000, tell)
