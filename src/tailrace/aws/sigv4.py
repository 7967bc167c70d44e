"""Signature Version 4, header form, signed payload.

The path is taken as it stands, which is S3's rule: other services want it escaped once more and normalised, which makes
no difference for their path ``/``. The headers signed are those given, plus Host and the signature's own.
"""

from __future__ import annotations

import binascii
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.aws.credentials import Credentials

_BLOCK_BYTES = 64


def signed_headers(
    method: str,
    host: str,
    path: str,
    query: list[tuple[str, str]],
    headers: list[tuple[str, str]],
    body_sha256: bytes,
    credentials: Credentials,
    region: str,
    service: str,
    wall_s: float,
) -> list[tuple[str, str]]:
    """`headers` plus those that sign the request: date, payload hash, session token, Authorization.

    `host` is the Host header as the transport will write it; `path` and `query` are escaped already (RFC 3986: all but
    letters, digits and ``-._~``). The same arguments give the same signature.
    """
    stamp = _stamp(wall_s)
    payload = body_sha256.hex()
    complete = [*headers, ("x-amz-content-sha256", payload), ("x-amz-date", stamp)]
    if credentials.session_token:
        complete.append(("x-amz-security-token", credentials.session_token))
    named = sorted((name.lower(), " ".join(value.split())) for name, value in [*complete, ("host", host)])
    names = ";".join(name for name, _ in named)
    canonical = "\n".join(
        (
            method,
            path or "/",
            "&".join(f"{key}={value}" for key, value in sorted(query)),
            *(f"{name}:{value}" for name, value in named),
            "",
            names,
            payload,
        )
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(canonical.encode()).hex()}"
    signature = _hmac(_signing_key(credentials.secret_access_key, stamp[:8], region, service), text).hex()
    credential = f"{credentials.access_key_id}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return [*complete, ("authorization", authorization)]


def sha256(data: bytes) -> bytes:
    """The digest. OpenSSL's is the fastest and comes with TLS anyway; it is loaded at first use."""
    try:
        from _hashlib import openssl_sha256 as new
    except ImportError:  # an interpreter built without OpenSSL
        from hashlib import sha256 as new
    return new(data).digest()


def base64(data: bytes) -> str:
    """`data` in base 64, on one line."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = _hmac(("AWS4" + secret).encode(), date)
    for part in (region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    """HMAC-SHA256 (RFC 2104), spelled out: the `hmac` package would import `warnings` for it."""
    if len(key) > _BLOCK_BYTES:
        key = sha256(key)
    key = key.ljust(_BLOCK_BYTES, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in key) + text.encode())
    return sha256(bytes(byte ^ 0x5C for byte in key) + inner)


def _stamp(wall_s: float) -> str:
    t = time.gmtime(wall_s)
    return f"{t.tm_year:04}{t.tm_mon:02}{t.tm_mday:02}T{t.tm_hour:02}{t.tm_min:02}{t.tm_sec:02}Z"
