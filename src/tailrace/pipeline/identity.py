"""What a batch is called, so that a back end that has seen it knows it again."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.model.batch import Batch

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
# Put together for the checksum: a call for each costs more, and a copy of all of them is memory.
_PARTS_AT_ONCE = 100
_NAME_MAX_LENGTH = 140  # a function's name has 64 letters at most, with its version's alias below this


def batch_id(batch: Batch, environment_id: str) -> str:
    """``ENVIRONMENT-FIRST-LAST-CHECKSUM``: the same for the same records at any time, from any process.

    The checksum is of the records' own bytes: what is left of a batch after some records were refused may begin and
    end with the same numbers, and a record that was cut has the number of the whole one.
    """
    return f"{safe_name(environment_id)}-{batch.first_seq:08}-{batch.last_seq:08}-{content_checksum(batch.parts):08x}"


def content_checksum(parts: list[bytes]) -> int:
    """CRC-32 of the records, each with its end."""
    from binascii import crc32  # not built in everywhere; only some destinations need it

    checksum = 0
    for begin in range(0, len(parts), _PARTS_AT_ONCE):
        checksum = crc32(b"\n".join((*parts[begin : begin + _PARTS_AT_ONCE], b"")), checksum)
    return checksum


def safe_name(text: str) -> str:
    """`text` as one segment of a path or key: letters, digits and ``-_.`` stand, anything else becomes ``_``."""
    safe = "".join(ch if ch in _NAME else "_" for ch in text[:_NAME_MAX_LENGTH])
    return safe if safe.strip(".") else "_" * max(1, len(safe))
