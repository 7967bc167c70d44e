"""One telemetry event on its way through the agent."""

from __future__ import annotations


class Record:
    """One event of the Telemetry API.

    `event` is the decoded JSON value (an object by contract, but anything may come), `raw` the very text it
    came as, without line breaks: whoever changes `event` sets `raw` to None. `time` and `type` are the
    event's own members where they are strings, else empty. `request_id` is None where it cannot be known.
    `seq` is given by the ledger and is unique in this process. `line` is for who encodes it: destinations that write
    it alike share one copy.
    """

    __slots__ = ("event", "line", "raw", "request_id", "seq", "time", "type")

    def __init__(self, seq: int, time: str, type_: str, event: object, raw: str | None) -> None:
        self.seq = seq
        self.time = time
        self.type = type_
        self.event = event
        self.raw = raw
        self.request_id: str | None = None
        self.line: bytes | None = None
