"""A delivery that breaks off in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tailrace.emulator.machine.effects import PostTelemetry
from tailrace.emulator.telemetry.address import LOOPBACK, describe, parse_address


async def send_half(post: PostTelemetry, halfway: Callable[[], None]) -> str:
    """Send the first half of a batch on a connection of its own, call `halfway`, and wait for the connection's end.

    Returns the end in a few words. Raises `OSError` where no connection is to be had, `ValueError` for an address
    outside the sandbox.
    """
    address = parse_address(post.uri)
    head = b""
    if address.scheme == "http":
        head = (
            f"{post.method} {address.target} HTTP/1.1\r\nHost: {address.host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(post.body)}\r\n\r\n"
        ).encode("latin-1")
    reader, writer = await asyncio.open_connection(LOOPBACK, address.port)
    try:
        writer.write(head + post.body[: len(post.body) // 2])
        await writer.drain()
        halfway()
        await reader.read()
    except OSError as error:
        return describe(error)
    finally:
        writer.transport.abort()
    return "connection closed before an answer"
