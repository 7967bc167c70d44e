"""The Runtime API's calls (lambda-platform.md 3)."""

from __future__ import annotations

from tailrace.emulator.machine.facts import HttpRequested
from tailrace.emulator.machine.fatal import Fatal
from tailrace.emulator.machine.http_reply import ACCEPTED, HttpReply, refusal
from tailrace.emulator.machine.invoke_run import UNHANDLED, InvokeRun
from tailrace.emulator.machine.lifecycle import Lifecycle
from tailrace.emulator.machine.sandbox_state import SandboxState
from tailrace.emulator.machine.states import CALL_ERROR, CALL_INIT_ERROR, CALL_NEXT, CALL_RESPONSE, TARGETS
from tailrace.protocol import runtime_api
from tailrace.protocol.replies import CONTENT_TYPE, JSON, ApiError, decode_error
from tailrace.protocol.runtime_api import MAX_PAYLOAD_BYTES, STREAMING

TRUNCATED_RESPONSE = "Runtime.TruncatedResponse"
INVALID_RESPONSE_MODE = "Runtime.InvalidResponseModeHeader"
RESPONSE_TOO_LARGE = "Function.ResponseSizeTooLarge"


class RuntimeCalls:
    """Each call returns its answer, or None where it stays open or was answered already."""

    def __init__(self, state: SandboxState, lifecycle: Lifecycle) -> None:
        self._state = state
        self._lifecycle = lifecycle

    def next(self, fact: HttpRequested) -> HttpReply | None:
        runtime = self._state.runtime
        if not runtime.can(CALL_NEXT):
            return self._refused(CALL_NEXT)
        before = runtime.state
        runtime.next_called(fact.exchange)
        self._lifecycle.runtime_called_next(before)
        return None

    def response(self, fact: HttpRequested, request_id: str) -> HttpReply:
        run = self._begin_post(CALL_RESPONSE, request_id)
        if isinstance(run, HttpReply):
            return run
        found = self._fault(fact)
        if found is None:
            run.response_posted(fact.body, fact.headers.get(CONTENT_TYPE.lower(), JSON), fact.began_ns)
            return ACCEPTED
        error, error_type, message = found
        document = runtime_api.invoker_document(error_type, message)
        run.response_posted(document, JSON, fact.began_ns, UNHANDLED, error_type)
        return refusal(error)

    def error(self, fact: HttpRequested, request_id: str) -> HttpReply:
        run = self._begin_post(CALL_ERROR, request_id)
        if isinstance(run, HttpReply):
            return run
        if fact.truncated or len(fact.body) > MAX_PAYLOAD_BYTES:
            error = runtime_api.TRUNCATED_REQUEST if fact.truncated else runtime_api.TOO_LARGE
            error_type = TRUNCATED_RESPONSE if fact.truncated else RESPONSE_TOO_LARGE
            document = runtime_api.invoker_document(error_type, error.message)
            run.response_posted(document, JSON, fact.began_ns, UNHANDLED, error_type)
            return refusal(error)
        error_type = runtime_api.sanitize_error_type(fact.headers.get(runtime_api.ERROR_TYPE.lower(), ""))
        run.error_posted(fact.body, fact.headers.get(CONTENT_TYPE.lower(), JSON), fact.began_ns, error_type)
        return ACCEPTED

    def init_error(self, fact: HttpRequested) -> tuple[HttpReply, Fatal | None]:
        """The answer, and the fatal error that the runtime reported."""
        runtime = self._state.runtime
        if not runtime.can(CALL_INIT_ERROR):
            return self._refused(CALL_INIT_ERROR), None
        runtime.move(CALL_INIT_ERROR)
        error_type = runtime_api.sanitize_error_type(fact.headers.get(runtime_api.ERROR_TYPE.lower(), ""))
        message = decode_error(0, fact.body).message or "The runtime reported that it could not initialise"
        return ACCEPTED, Fatal(error_type, message, fact.body or None)

    def _begin_post(self, call: str, request_id: str) -> InvokeRun | HttpReply:
        """The id is checked before the state (lambda-platform.md 3.4)."""
        runtime, run = self._state.runtime, self._lifecycle.invoke
        if run is None or not request_id or request_id != runtime.current_id:
            return refusal(runtime_api.INVALID_REQUEST_ID)
        if not runtime.can(call):
            return self._refused(call)
        runtime.move(call)
        return run

    def _fault(self, fact: HttpRequested) -> tuple[ApiError, str, str] | None:
        """What is wrong with a response: the answer to the runtime, the invoker's error type and message."""
        mode = fact.headers.get(runtime_api.RESPONSE_MODE.lower(), "")
        if mode not in ("", STREAMING):
            error = runtime_api.INVALID_RESPONSE_MODE
            return error, INVALID_RESPONSE_MODE, error.message
        if fact.truncated:
            return runtime_api.TRUNCATED_REQUEST, TRUNCATED_RESPONSE, "The response was truncated"
        if len(fact.body) > MAX_PAYLOAD_BYTES:
            return runtime_api.TOO_LARGE, RESPONSE_TOO_LARGE, runtime_api.TOO_LARGE_MESSAGE
        return None

    def _refused(self, call: str) -> HttpReply:
        return refusal(runtime_api.invalid_transition(self._state.runtime.state, TARGETS[call]))
