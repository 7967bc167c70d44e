"""A batch was not taken, or at last one was: when the next attempt is due, and what is said about it. Pure."""

from __future__ import annotations

from tailrace.pipeline.sending.notices import NO_REPLY_YET, NOT_CONNECTED_YET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.pipeline.ledger import LedgerRow
    from tailrace.pipeline.sending.availability import Availability
    from tailrace.pipeline.sending.notices import Notice, Said
    from tailrace.pipeline.sending.retry import Backoff
    from tailrace.pipeline.sending.send_queue import SendQueue
    from tailrace.pipeline.sending.settings import SenderSettings


class Setbacks:
    """One destination's failure windows. While closing there is no later: pauses are short, the breaker's are not
    kept; what the destination itself asks for is. `last_failure` is what stood in the way of the destination's records,
    empty once it answers."""

    __slots__ = (
        "_availability",
        "_dropped_at_start",
        "_queue",
        "_row",
        "_said",
        "_settings",
        "is_closing",
        "last_failure",
    )

    def __init__(
        self,
        row: LedgerRow,
        queue: SendQueue,
        availability: Availability,
        settings: SenderSettings,
        said: Said,
    ) -> None:
        self._row = row
        self._queue = queue
        self._availability = availability
        self._settings = settings
        self._said = said
        self._dropped_at_start = 0
        self.is_closing = False
        self.last_failure = ""

    def postpone(
        self,
        now_s: float,
        draw: float,
        message: str,
        reason: str,
        retry_after_s: float | None = None,
        wall_s: float | None = None,
    ) -> list[Notice]:
        """It is tried again soon; not before `retry_after_s`, where the destination asked for that."""
        asked_s = min(retry_after_s or 0.0, self._settings.backoff.retry_after_max_s)
        notices = self._failed(now_s, message, reason, self._delay_s(draw, retry_after_s), draw, wall_s, asked_s)
        if asked_s:
            self._availability.asked(now_s + asked_s)
        return notices

    def stand_back(
        self, now_s: float, draw: float, message: str, reason: str, wall_s: float | None = None
    ) -> list[Notice]:
        """More of the same will not help soon. That is said even where the failure window began otherwise."""
        pause_s = self._settings.slow_retry_s
        notices = self._failed(now_s, message, reason, pause_s, draw, wall_s, pause_s)
        if not notices:
            return self._said.once(message, "error", message, {"reason": reason})
        self._said.note(message)
        return notices

    def pause(self, now_s: float, draw: float, retry_after_s: float | None) -> None:
        """It took something, and wants to be left alone for a while before it gets the rest."""
        self._availability.pause(now_s + self._delay_s(draw, retry_after_s))
        if retry_after_s:
            self._availability.asked(now_s + min(retry_after_s, self._settings.backoff.retry_after_max_s))

    def wait_expired(self, now_s: float, wall_s: float | None) -> list[Notice]:
        """Somebody waited as long as anybody may, in vain."""
        self._note_drops()
        reason = NO_REPLY_YET if self._queue.is_first_written else NOT_CONNECTED_YET
        self.last_failure = self.last_failure or reason
        return self._begun(self._availability.wait_expired(now_s, reason), wall_s)

    def answered(self, now_s: float) -> list[Notice]:
        """It dealt with a batch, in whatever way."""
        reason, self.last_failure = self.last_failure, ""
        lost = self._dropped() - self._dropped_at_start
        notice = self._availability.answered(now_s, self._queue.held, lost, reason)
        return [notice] if notice else []

    def _delay_s(self, draw: float, retry_after_s: float | None) -> float:
        return self._backoff.delay_s(self._availability.failures + 1, draw, retry_after_s)

    @property
    def _backoff(self) -> Backoff:
        return self._settings.closing_backoff if self.is_closing else self._settings.backoff

    def _failed(
        self,
        now_s: float,
        message: str,
        reason: str,
        delay_s: float,
        draw: float,
        wall_s: float | None,
        asked_s: float,
    ) -> list[Notice]:
        self._note_drops()
        self.last_failure = reason
        notice = self._availability.attempt_failed(now_s, message, reason, delay_s, draw, asked_s)
        if self.is_closing:
            self._availability.pause(now_s + delay_s)
        return self._begun(notice, wall_s)

    def _begun(self, notice: Notice | None, wall_s: float | None) -> list[Notice]:
        """The first line of a failure window says what waits for its end."""
        if notice is None:
            return []
        notice.fields["heldRecords"] = self._queue.held
        oldest_s = None if wall_s is None else self._queue.oldest_s(wall_s)
        if oldest_s is not None:
            notice.fields["oldestS"] = round(oldest_s, 3)
        return [notice]

    def _note_drops(self) -> None:
        """Remember where a failure window began, so that its end can say what was lost in between."""
        if self._availability.is_up:
            self._dropped_at_start = self._dropped()

    def _dropped(self) -> int:
        return sum(self._row.snapshot().dropped.values())
