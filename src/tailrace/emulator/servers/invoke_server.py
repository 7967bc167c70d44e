"""Lambda's Invoke API on loopback: what boto3, the AWS CLI and curl call the function through."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from typing import Any

from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.function import Answer, Invocation
from tailrace.emulator.identifiers import IDS
from tailrace.emulator.invocations import PendingInvocation, new_trace_header
from tailrace.emulator.outcome import Outcome
from tailrace.emulator.servers.http_server import HttpConnection, HttpServer, Request
from tailrace.emulator.servers.invoke_request import InvokeCall, ServiceError, read_call
from tailrace.errors import EnvironmentStartError, TailraceError

DEFAULT_WAITING = 100


class InvokeServer:
    """Takes calls and runs them one after the other in one environment.

    Any function name is taken for the function that is there. At most `max_waiting` calls wait while one
    runs; more are refused with 429 `TooManyRequestsException`. An asynchronous call (`Event`) is run once: the
    service's retries are not imitated. `on_error` hears of asynchronous calls that the environment could not run.
    """

    def __init__(
        self,
        environment: ExecutionEnvironment,
        *,
        host: str = "127.0.0.1",
        port: int = 9000,
        max_waiting: int = DEFAULT_WAITING,
        new_request_id: Callable[[], str] = IDS.uuid,
        on_error: Callable[[BaseException], None] = lambda _error: None,
    ) -> None:
        self._environment = environment
        self._server = HttpServer(self, host, port)
        self._max_waiting = max_waiting
        self._new_request_id = new_request_id
        self._on_error = on_error
        self._unfinished = 0
        self._tenant_id = ""

    async def start(self) -> None:
        """Listen. Raises `EnvironmentStartError` when the port is taken."""
        try:
            await self._server.start()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise EnvironmentStartError(
                f"cannot listen on {self._server.address} ({why.lower()}); choose another port"
            ) from error

    @property
    def url(self) -> str:
        """The endpoint for clients, for example `--endpoint-url` of the AWS CLI."""
        return f"http://{self._server.address}"

    async def stop(self) -> None:
        """Stop listening; callers that still wait are cut off."""
        await self._server.stop()

    # RequestHandler

    def request_received(self, connection: HttpConnection, request: Request) -> None:
        request_id = self._new_request_id()
        try:
            if request.truncated:
                raise ServiceError(400, "InvalidRequestContentException", "The request's body is incomplete")
            call = read_call(request)
            self._check_tenant(call)
            if call.invocation_type == "DryRun":
                connection.respond(204, self._common_headers(request_id), b"")
                return
            self._run(connection, call, request_id)
        except ServiceError as error:
            _respond_error(connection, error, request_id)

    def client_gone(self, connection: HttpConnection) -> None:
        """The invocation goes on without its caller, as on Lambda."""

    def _check_tenant(self, call: InvokeCall) -> None:
        """One environment serves one tenant (lambda-platform-2026.md 7); another tenant would need another one."""
        if not self._environment.config.tenant_isolation:
            return
        if not call.tenant_id:
            raise ServiceError(
                400,
                "InvalidParameterValueException",
                "The invoked function is enabled with tenancy configuration. "
                "Add a valid tenant ID in your request and try again.",
            )
        if self._tenant_id not in ("", call.tenant_id):
            raise ServiceError(
                429,
                "TooManyRequestsException",
                "The one environment that is here serves another tenant; start a second one for this tenant.",
                "ConcurrentInvocationLimitExceeded",
            )
        if call.invocation_type != "DryRun":
            self._tenant_id = call.tenant_id

    def _run(self, connection: HttpConnection, call: InvokeCall, request_id: str) -> None:
        if self._unfinished > self._max_waiting:
            raise ServiceError(429, "TooManyRequestsException", "Rate Exceeded.", "ConcurrentInvocationLimitExceeded")
        invocation = self._invocation(call, request_id)
        try:
            pending = self._environment.submit(invocation)
        except TailraceError as error:
            raise ServiceError(500, "ServiceException", str(error)) from error
        self._unfinished += 1
        pending.closed.when_done(self._one_finished)
        if call.invocation_type == "Event":
            pending.closed.when_done(lambda: self._event_finished(pending))
            connection.respond(202, self._common_headers(request_id, invocation.trace_header), b"")
            return
        # the log ends with the REPORT line, which is written when the invocation closes
        awaited: Outcome[Any] = pending.closed if call.wants_log else pending.answered
        awaited.when_done(lambda: self._answer(connection, call, pending))

    def _one_finished(self) -> None:
        self._unfinished -= 1

    def _event_finished(self, pending: PendingInvocation) -> None:
        try:
            pending.closed.result()
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody shall hear of it
            self._on_error(error)

    def _invocation(self, call: InvokeCall, request_id: str) -> Invocation:
        arn = self._environment.config.arn
        return Invocation(
            request_id=request_id,
            payload=call.payload,
            invoked_arn=f"{arn}:{call.qualifier}" if call.qualifier else arn,
            client_context=call.client_context if call.invocation_type == "RequestResponse" else "",
            trace_header=call.trace_header or new_trace_header(self._environment.now_ns()),
            content_type=call.content_type,
            cognito_identity=call.cognito_identity,
            tenant_id=call.tenant_id,
        )

    def _answer(self, connection: HttpConnection, call: InvokeCall, pending: PendingInvocation) -> None:
        """Called by the outcome itself: a task would cost each invocation two turns of the loop."""
        try:
            answer = pending.answered.result()
            headers = self._answer_headers(pending.invocation, answer)
            if call.wants_log:
                headers.append(("X-Amz-Log-Result", base64.b64encode(pending.log.tail()).decode("ascii")))
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the caller waiting
            request_id = pending.invocation.request_id
            _respond_error(connection, ServiceError(500, "ServiceException", str(error)), request_id)
        else:
            connection.respond(200, headers, answer.payload)

    def _common_headers(self, request_id: str, trace_header: str = "") -> list[tuple[str, str]]:
        headers = [("x-amzn-RequestId", request_id)]
        if trace_header:
            headers.append(("X-Amzn-Trace-Id", trace_header))
        return headers

    def _answer_headers(self, invocation: Invocation, answer: Answer) -> list[tuple[str, str]]:
        headers = [("Content-Type", answer.content_type)]
        headers += self._common_headers(invocation.request_id, invocation.trace_header)
        headers.append(("X-Amz-Executed-Version", self._environment.config.version))
        if answer.function_error:
            headers.append(("X-Amz-Function-Error", answer.function_error))
        return headers


def _respond_error(connection: HttpConnection, error: ServiceError, request_id: str) -> None:
    document = {"Type": "User" if error.status < 500 else "Service", "Message": error.message}
    if error.reason:
        document["Reason"] = error.reason
    headers = (
        ("Content-Type", "application/json"),
        ("x-amzn-RequestId", request_id),
        ("x-amzn-ErrorType", error.name),
    )
    connection.respond(error.status, headers, json.dumps(document).encode())
