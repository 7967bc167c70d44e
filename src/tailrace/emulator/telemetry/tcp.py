"""One TCP connection to a subscriber of telemetry: nobody answers there, so bytes taken are bytes delivered."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from tailrace.emulator.telemetry.address import ConnectionClosedError, describe, reset_on_close


class TcpConnection(asyncio.Protocol):
    """`send` returns when the operating system has taken every byte: a slow reader holds up nothing else."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._is_paused = False
        self._drained: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only
        self._transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def eof_received(self) -> bool:
        """A reader that will say nothing may go on reading; one that is gone answers the next bytes by a reset."""
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._drained is not None and not self._drained.done():
            reason = "connection closed" if exc is None else f"connection lost: {describe(exc)}"
            self._drained.set_exception(ConnectionClosedError(reason))

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def send(self, data: bytes) -> None:
        """Raises `ConnectionClosedError` where the connection ends first."""
        if self._transport is None:
            raise ConnectionClosedError("connection closed")
        self._transport.write(data)
        if self._is_paused:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def reset(self) -> None:
        """Close so that the subscriber finds the connection reset."""
        if self._transport is not None:
            reset_on_close(self._transport.get_extra_info("socket"))
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
