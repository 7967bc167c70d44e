"""A line of a dead letter file, read back."""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass
from typing import Any

from tailrace.errors import TailraceError
from tailrace.model.batch import Batch
from tailrace.model.resource import Resource
from tailrace.pipeline.dead_letters.envelope import TYPE, VERSION
from tailrace.pipeline.identity import batch_id
from tailrace.pipeline.times import epoch_ms
from tailrace.replay.lines import HEAD_BYTES

MARK = TYPE.encode()
"""Stands near the beginning of every line of ours."""


class BrokenEnvelopeError(TailraceError):
    """A line that is meant as an envelope and cannot be used; `str()` says what is wrong with it."""


@dataclass(frozen=True)
class Envelope:
    """A batch that was not delivered, as the agent wrote it down; see `pipeline.dead_letter_envelope`.

    `where` says the file and the line, for people. Times are RFC 3339, `first_attempt` and `last_attempt` None where
    nothing was tried. `n_alike` is how many destinations the agent had of that URL but for secrets, as far as is known.
    """

    where: str
    time: str
    destination: str
    reason: str
    error: str
    attempts: int
    first_attempt: str | None
    last_attempt: str | None
    function_version: str
    request_ids: tuple[str, ...]
    batch: Batch
    resource: Resource
    key: str
    n_alike: int = 1

    @property
    def n_records(self) -> int:
        return len(self.batch)

    @property
    def function_name(self) -> str:
        return self.resource.function_name

    @property
    def time_ms(self) -> int:
        """Milliseconds since 1970."""
        return epoch_ms(self.time) or 0


def is_meant_as_envelope(line: bytes) -> bool:
    """Whether the line looks like one of ours, whole or not."""
    return MARK in line[:HEAD_BYTES]


def read_envelope(line: bytes, where: str) -> Envelope | None:
    """The envelope in `line`, or None where there is something else. Raises `BrokenEnvelopeError`."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        if is_meant_as_envelope(line):
            raise BrokenEnvelopeError("the line is cut off or damaged") from None
        return None
    if not isinstance(value, dict) or value.get("type") != TYPE:
        return None
    version = value.get("version")
    if version != VERSION:
        shown = str(version) if isinstance(version, int) else "no number"
        raise BrokenEnvelopeError(f"its version is {shown}, and this Tailrace reads version {VERSION}")
    return _envelope(value, where)


def _envelope(value: dict[str, Any], where: str) -> Envelope:
    parts = _parts(value)
    batch = Batch(parts, _number(value, "firstSeq"), _number(value, "lastSeq"), _text(value, "start"))
    resource = Resource(_text(value, "functionName"), _text(value, "environmentId"), _text(value, "functionVersion"))
    key = _text(value, "idempotencyKey")
    if key != batch_id(batch, resource.environment_id):
        raise BrokenEnvelopeError("its records are not those that its idempotencyKey was made for")
    if "recordCount" in value and _number(value, "recordCount") != len(parts):
        raise BrokenEnvelopeError("its recordCount is not the number of its records")
    time = _text(value, "time")
    if epoch_ms(time) is None:
        raise BrokenEnvelopeError('its "time" is no time of RFC 3339 in UTC')
    return Envelope(
        where,
        time,
        _text(value, "destination"),
        _text(value, "reason"),
        _text(value, "error"),
        _number(value, "attempts"),
        _optional(value, "firstAttemptTime"),
        _optional(value, "lastAttemptTime"),
        resource.function_version,
        tuple(item for item in _list(value, "requestIds") if isinstance(item, str)),
        batch,
        resource,
        key,
        _number(value, "destinationsAlike") if "destinationsAlike" in value else 1,
    )


def _parts(value: dict[str, Any]) -> list[bytes]:
    name = "recordsBase64" if "recordsBase64" in value else "records"
    items = _list(value, name)
    if not items or not all(isinstance(item, str) for item in items):
        raise BrokenEnvelopeError(f'its "{name}" is not a list of texts')
    try:
        if name == "records":
            return [item.encode() for item in items]
        return [binascii.a2b_base64(item, strict_mode=True) for item in items]
    except ValueError:
        raise BrokenEnvelopeError(f'a record in its "{name}" cannot be read') from None


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str):
        raise BrokenEnvelopeError(f'its "{name}" is missing or no text')
    return found


def _optional(value: dict[str, Any], name: str) -> str | None:
    return None if value.get(name) is None else _text(value, name)


def _number(value: dict[str, Any], name: str) -> int:
    found = value.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise BrokenEnvelopeError(f'its "{name}" is missing or no whole number')
    return found


def _list(value: dict[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if not isinstance(found, list):
        raise BrokenEnvelopeError(f'its "{name}" is missing or no list')
    return found
