"""One attempt: a batch becomes a request, is sent, and what came of it is booked."""

from __future__ import annotations

from tailrace.errors import ConfigError, ConnectError, NoReplyError
from tailrace.pipeline.times import timeout_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.clock import Clock
    from tailrace.model.resource import Resource
    from tailrace.pipeline.interfaces import Destination, Random, Transport
    from tailrace.pipeline.sealed import Sealed
    from tailrace.pipeline.sending.notices import Notice
    from tailrace.pipeline.sending.patience import Patience
    from tailrace.pipeline.sending.sender import Sender
    from tailrace.pipeline.sync import Monitor

    Tell = Callable[[list[Notice]], None]


class Attempts:
    """Attempts at one destination. `monitor` guards `sender` and `patience`; `tell` is called without it after each
    outcome. No attempt lasts longer than `timeout_s`, or beyond `deadline_s` (monotonic) where there is one."""

    __slots__ = (
        "_clock",
        "_destination",
        "_monitor",
        "_random",
        "_resource",
        "_sender",
        "_tell",
        "_timeout_s",
        "deadline_s",
        "patience",
    )

    def __init__(
        self,
        destination: Destination,
        resource: Resource,
        sender: Sender,
        monitor: Monitor,
        patience: Patience,
        clock: Clock,
        random: Random,
        timeout_s: float,
        tell: Tell,
    ) -> None:
        self._destination = destination
        self._resource = resource
        self._sender = sender
        self._monitor = monitor
        self.patience = patience
        self._clock = clock
        self._random = random
        self._timeout_s = timeout_s
        self._tell = tell
        self.deadline_s: float | None = None

    def make(self, sealed: Sealed, transport: Transport) -> None:
        """From building the request to booking what came of it."""
        destination, sender, clock = self._destination, self._sender, self._clock
        now_s, wall_s = clock.monotonic_s, clock.wall_s
        started_s = now_s()
        sealed.trials.begun(wall_s())
        is_built = False
        try:
            request = destination.build_request(sealed.batch, self._sealed_by(sealed), wall_s())
            is_built = True
            reply = transport.send(request, self._left_s(), lambda: self._written(sealed))
            outcome = destination.classify(reply)
        except ConnectError as error:
            reason = error.reason
            self._book(lambda draw: sender.not_connected(reason, now_s(), draw, sealed, wall_s()))
        except NoReplyError as error:
            reason, is_stale = error.reason, error.stale
            self._book(lambda draw: sender.no_reply(reason, now_s(), draw, sealed, is_stale, wall_s()))
        except ConfigError as error:
            reason = str(error)
            self._book(lambda draw: sender.not_built(reason, now_s(), draw, sealed, wall_s()))
        except Exception as error:  # noqa: BLE001 - a fault in one destination's code must not end its thread unseen
            reason = describe(error)
            self._book(lambda draw: sender.broke(reason, now_s(), draw, sealed, wall_s(), is_built))
        else:
            came_s = now_s()
            self._book(lambda draw: sender.replied(outcome, came_s, draw, sealed, wall_s()), came_s - started_s)

    def _sealed_by(self, sealed: Sealed) -> Resource:
        """A batch of a former process keeps its identity."""
        return self._resource if sealed.environment is None else self._resource.of_environment(sealed.environment)

    def _written(self, sealed: Sealed) -> None:
        with self._monitor:
            self._sender.written(sealed)
            self._monitor.notify_all()

    def _book(self, fact: Callable[[float], list[Notice]], reply_s: float | None = None) -> None:
        """What an attempt came to; `fact` gets a random number, `reply_s` is how long the answer took, if one came."""
        draw = self._random()
        with self._monitor:
            if reply_s is None:
                self.patience.failed()
            else:
                self.patience.answered(self._clock.monotonic_s(), reply_s)
            notices = fact(draw)
            self._monitor.notify_all()
        self._tell(notices)

    def _left_s(self) -> float:
        with self._monitor:
            deadline_s = self.deadline_s
        return timeout_s(self._timeout_s, deadline_s, self._clock.monotonic_s())


def describe(error: Exception) -> str:
    """An unexpected error by its kind only: its text could hold a secret."""
    return f"internal error ({type(error).__name__})"
