"""The runtime's side of an environment: its state, its blocked `next` calls, the event that it works on."""

from __future__ import annotations

from collections import deque

from tailrace.emulator.machine.effects import Respond
from tailrace.emulator.machine.stage import Stage
from tailrace.emulator.machine.states import CALL_NEXT, READY, RESPONSE_SENT, RUNNING, RUNTIME_MOVES, STARTED
from tailrace.protocol.runtime_api import NextEvent


class RuntimeExchange:
    """One runtime process's conversation. Several `next` may be blocked: an event wakes the first of them only
    (lambda-platform.md 3.3)."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.state = STARTED
        self._blocked: deque[int] = deque()
        self._event: NextEvent | None = None

    @property
    def current_id(self) -> str:
        """The request that may be answered now, or an empty text."""
        return self._event.request_id if self._event is not None and self.state not in (STARTED, READY) else ""

    def can(self, call: str) -> bool:
        return (self.state, call) in RUNTIME_MOVES

    def move(self, call: str) -> None:
        self.state = RUNTIME_MOVES[(self.state, call)]

    def next_called(self, exchange: int) -> None:
        """Block, or hand out the event that waits, or once more the one that is being worked on."""
        if self.state == RESPONSE_SENT:
            self._event = None
        self.move(CALL_NEXT)
        if self.state == RUNNING and self._event is not None:
            self._respond(exchange, self._event)
            return
        self._blocked.append(exchange)
        self._hand_over()

    def offer(self, event: NextEvent) -> None:
        """Hand the event to the first blocked `next`, or to the next one that comes."""
        self._event = event
        self._hand_over()

    def event_is_done(self) -> None:
        self._event = None

    def abandoned(self, exchange: int) -> None:
        """The client of a blocked `next` is gone; it must not swallow an event."""
        if exchange in self._blocked:
            self._blocked.remove(exchange)

    def _hand_over(self) -> None:
        if self.state == READY and self._blocked and self._event is not None:
            self.state = RUNNING
            self._respond(self._blocked.popleft(), self._event)

    def _respond(self, exchange: int, event: NextEvent) -> None:
        self._stage.emit(Respond(exchange, 200, event.headers(), event.payload))
