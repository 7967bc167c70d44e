"""Which destination it is, secrets included, in words that give none of them away."""

from __future__ import annotations

import hashlib

from tailrace.config.destinations import DestinationSpec
from tailrace.config.urls import MASK

# Four bytes tell any two URLs apart, and leave so many that fit that a long secret is not known by them. A short one
# can only be tried out, at this cost for each try; the salt keeps what was tried from being of use a second time.
_DIGEST_BYTES = 4
_COST = {"n": 2**14, "r": 8, "p": 1}


def secrets_of(spec: DestinationSpec) -> str:
    """All that stands in the URL where its name has a mask; empty where that has none."""
    if MASK not in spec.name:
        return ""
    url = spec.url
    return "\0".join((url.username or "", url.password or "", url.path, *(item.raw for item in url.query)))


def identity_of(name: str, secrets: str, salt: bytes) -> str:
    """``NAME``, or ``NAME DIGEST`` where the name is not all of the URL. `name` is without its number."""
    if not secrets:
        return name
    digest = hashlib.scrypt(secrets.encode(), salt=salt, dklen=_DIGEST_BYTES, **_COST)
    return f"{name} {digest.hex()}"


def name_in(identity: str) -> str:
    """A URL holds no blank."""
    return identity.partition(" ")[0]
