"""The X-Ray header of an invocation, as telemetry and the log show it (lambda-platform.md 6.3, 8.1)."""

from __future__ import annotations

from tailrace.protocol import platform_events, report


class TraceContext:
    """`segment_id` is the 16 digits of this function's own segment."""

    __slots__ = ("_header", "_segment_id")

    def __init__(self, header: str, segment_id: str) -> None:
        self._header = header
        self._segment_id = segment_id

    def record(self) -> dict[str, object] | None:
        return platform_events.tracing(self._header, self._segment_id)

    def lines(self) -> tuple[str, ...]:
        """The REPORT line's companion, where the invocation is sampled."""
        parts = dict(part.strip().partition("=")[::2] for part in self._header.split(";"))
        if not parts.get("Root") or parts.get("Sampled") != "1":
            return ()
        return (report.xray_line(parts["Root"], self._segment_id, sampled=True),)
