"""What the container credentials endpoint answers when its credentials are no good any more."""

from __future__ import annotations

import dataclasses
import json

from tailrace.clock import rfc3339_ms
from tailrace.emulator.machine.effects import Respond

_EXPIRED_SINCE_S = 60
_REFUSAL = b"the credentials have expired\n"


def expired(answer: Respond, status: int, now_ns: int) -> Respond:
    """The same answer with an `Expiration` that has passed, or (`status` other than 200) a refusal in plain text."""
    if status != 200:
        return dataclasses.replace(answer, status=status, headers=(("Content-Type", "text/plain"),), body=_REFUSAL)
    document = json.loads(answer.body)
    document["Expiration"] = rfc3339_ms(now_ns / 1e9 - _EXPIRED_SINCE_S)
    return dataclasses.replace(answer, body=json.dumps(document).encode())
