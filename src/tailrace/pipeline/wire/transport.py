"""Carrying requests of every kind. A destination makes a request; its type decides who carries it."""

from __future__ import annotations

from tailrace.pipeline.messages import FileRequest, HttpRequest, StreamRequest
from tailrace.pipeline.wire.local_transport import FileTransport, StreamTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tailrace.clock import Clock
    from tailrace.pipeline.interfaces import Request
    from tailrace.pipeline.messages import Reply
    from tailrace.pipeline.wire.http_transport import HttpTransport


class CompositeTransport:
    """One sender's way out, whatever its destination asks for. Each transport is made when it is first needed."""

    __slots__ = ("_clock", "_environment", "_made")

    def __init__(self, clock: Clock, environment: Mapping[str, str]) -> None:
        self._clock = clock
        self._environment = environment
        # each carries only its own type of request; `transport_for` pairs them
        self._made: dict[type, Any] = {}

    def send(self, request: Request, timeout_s: float, on_written: Callable[[], None] | None = None) -> Reply:
        """Raises `ConnectError` when nothing was sent, `NoReplyError` when the outcome is unknown."""
        reply: Reply = self.transport_for(type(request)).send(request, timeout_s, on_written)
        return reply

    def transport_for(self, request_type: type) -> Any:
        """The transport that carries requests of this type. Raises `TypeError` for what is no request."""
        transport = self._made.get(request_type)
        if transport is None:
            transport = self._made[request_type] = self._make(request_type)
        return transport

    def close(self) -> None:
        for transport in self._made.values():
            transport.close()
        self._made.clear()

    def _make(self, request_type: type) -> HttpTransport | FileTransport | StreamTransport:
        if request_type is HttpRequest:
            # Loaded with the destinations that need it: most of the memory of this module is in there.
            from tailrace.pipeline.wire.http_transport import HttpTransport

            return HttpTransport(self._clock, self._environment)
        if request_type is FileRequest:
            return FileTransport()
        if request_type is StreamRequest:
            return StreamTransport()
        raise TypeError(f"no transport carries {request_type.__name__}")
