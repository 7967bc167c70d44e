"""Telemetry events as the platform writes them, for tests."""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]


def event(kind: str, record: object, second: int = 5) -> Event:
    return {"time": f"2026-01-02T03:04:{second:02}.678Z", "type": kind, "record": record}


def started(request_id: str) -> Event:
    return event("platform.start", {"requestId": request_id, "version": "$LATEST"})


def line(text: object) -> Event:
    return event("function", text)


def done(request_id: str) -> Event:
    metrics = {"durationMs": 108.402, "producedBytes": 57}
    return event("platform.runtimeDone", {"requestId": request_id, "status": "success", "metrics": metrics})


def report(request_id: str) -> Event:
    return event("platform.report", {"requestId": request_id, "status": "success", "metrics": {"durationMs": 108.4}})


def invocation(request_id: str, *texts: object) -> list[Event]:
    """What comes up to the end of one invocation: start, the function's lines, runtimeDone."""
    return [started(request_id), *map(line, texts), done(request_id)]
