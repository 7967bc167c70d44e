"""One invocation, from its offer to its report (lambda-platform.md 4.3, 4.4)."""

from __future__ import annotations

from collections.abc import Callable

from tailrace.emulator.function import Answer, Invocation, Report
from tailrace.emulator.machine.effects import AnswerInvoker, CloseInvocation, Respond
from tailrace.emulator.machine.fatal import SANDBOX_TIMEOUT, Fatal, timed_out
from tailrace.emulator.machine.figures import Instants, billed_ms, deadline_ms
from tailrace.emulator.machine.registry import Extension
from tailrace.emulator.machine.sandbox_state import SandboxState
from tailrace.emulator.machine.stage import NS_PER_MS
from tailrace.emulator.machine.states import RUNNING
from tailrace.emulator.machine.trace_context import TraceContext
from tailrace.protocol import extensions_api, platform_events, report
from tailrace.protocol.platform_events import SUCCESS, milliseconds
from tailrace.protocol.replies import CONTENT_TYPE, JSON
from tailrace.protocol.runtime_api import MAX_PAYLOAD_BYTES, NextEvent

INVOKE_DEADLINE = "invoke-deadline"
UNHANDLED = "Unhandled"


class InvokeRun:
    """Runs once. The invoker is answered when the response is posted; the invocation ends when the runtime and every
    extension subscribed to it have called `next`. `ended` is told None, or the fatal error that ended it.

    `init_ms` is the init that this first invocation is billed for, or None; `suppressed_init_ms` that of an init
    inside it.
    """

    def __init__(
        self,
        state: SandboxState,
        invocation: Invocation,
        init_ms: float | None,
        ended: Callable[[Fatal | None], None],
    ) -> None:
        self._state = state
        self._invocation = invocation
        self._init_ms = init_ms
        self.suppressed_init_ms = 0.0
        self._ended = ended
        self._at = Instants(state.stage.now_ns)
        self._timeout_ms = state.config.timeout_s * 1000
        self._deadline_ns = state.stage.now_ns + int(self._timeout_ms * NS_PER_MS)
        segment_id = state.stage.ids().replace("-", "")[:16] if invocation.trace_header else ""
        self._trace = TraceContext(invocation.trace_header, segment_id)
        self._awaited: set[str] = set()
        self._is_started = False
        self._is_answered = False
        self._is_over = False
        self._produced_bytes = 0
        self._status = SUCCESS
        self._error_type = ""

    @property
    def _arn(self) -> str:
        return self._invocation.invoked_arn or self._state.config.arn

    def begin(self) -> None:
        """The time runs from here on, an init inside the invocation included."""
        self._state.stage.set_timer(INVOKE_DEADLINE, self._timeout_ms)
        self._state.journal.worked_for = self._invocation.request_id

    def start(self) -> None:
        """Hand the event out: the payload to the runtime first, because the invoker waits for it alone, then to the
        extensions."""
        self._publish_start()
        self._state.runtime.offer(
            NextEvent(
                self._invocation.request_id,
                deadline_ms(self._deadline_ns),
                self._arn,
                self._invocation.payload[:MAX_PAYLOAD_BYTES],
                self._invocation.trace_header,
                self._invocation.client_context,
                self._invocation.cognito_identity,
                self._invocation.content_type,
                self._invocation.tenant_id,
            )
        )
        for extension in self._state.registry.ready_for_invoke():
            self._hand_to(extension)

    def response_posted(
        self, payload: bytes, content_type: str, began_ns: int | None, function_error: str = "", error_type: str = ""
    ) -> None:
        """The runtime's answer, good or not. `error_type` makes the invocation a failed one in its report."""
        now_ns = self._state.stage.now_ns
        self._at.response_began_ns = max(min(now_ns if began_ns is None else began_ns, now_ns), self._at.began_ns)
        self._at.response_ended_ns = now_ns
        self._produced_bytes = len(payload)
        if error_type:
            self._status, self._error_type = platform_events.ERROR, error_type
        self._answer(payload, function_error, content_type)

    def error_posted(self, payload: bytes, content_type: str, began_ns: int | None, error_type: str) -> None:
        """An error that the function's own runtime reported: a completed invocation (lambda-platform.md 4.3)."""
        status = self._state.policy.handled_error_status
        self.response_posted(payload, content_type, began_ns, UNHANDLED)
        self._status = status
        self._error_type = "" if status == SUCCESS else error_type

    def runtime_called_next(self) -> None:
        self._at.runtime_done_ns = self._state.stage.now_ns
        self._publish_runtime_done(self._status, self._error_type)
        self._check()

    def extension_called_next(self, extension: Extension) -> None:
        self._awaited.discard(extension.name)
        self._check()

    @property
    def timeout(self) -> Fatal:
        return timed_out(self._state.config.timeout_s)

    def fail(self, fatal: Fatal) -> None:
        """End it before its time: by timeout, by a crash, or because an init inside it failed."""
        self._state.note_fatal(fatal)
        request_id = self._invocation.request_id
        if not self._is_started:
            self._publish_start()
        self._answer(fatal.answer(request_id), UNHANDLED, JSON)
        if self._at.runtime_done_ns is None:
            self._publish_runtime_done(fatal.status, fatal.shown_type)
        if self._state.policy.legacy_fault_lines:
            self._state.journal.text(*self._fault_lines(fatal))
        is_timeout = fatal.error_type == SANDBOX_TIMEOUT
        if not is_timeout:
            self._state.journal.fault("\n".join(self._fault_lines(fatal)))
        self._finish(fatal.status, fatal.shown_type, self._timeout_ms if is_timeout else None, fatal)

    def _check(self) -> None:
        if self._at.runtime_done_ns is not None and not self._awaited and not self._is_over:
            self._finish(self._status, self._error_type, None, None)

    def _hand_to(self, extension: Extension) -> None:
        exchange = extension.take_pending()
        extension.state = RUNNING
        self._awaited.add(extension.name)
        if exchange is None:
            return
        event = extensions_api.LifecycleEvent(
            extensions_api.INVOKE,
            deadline_ms(self._deadline_ns),
            self._invocation.request_id,
            self._arn,
            self._invocation.trace_header,
        )
        headers = ((CONTENT_TYPE, JSON), (extensions_api.EVENT_IDENTIFIER, self._state.stage.ids()))
        self._state.stage.emit(Respond(exchange, 200, headers, event.body()))

    def _answer(self, payload: bytes, function_error: str, content_type: str) -> None:
        if self._is_answered:
            return
        self._is_answered = True
        answer = Answer(self._invocation.request_id, payload, function_error, content_type)
        self._state.stage.emit(AnswerInvoker(answer))

    def _publish_start(self) -> None:
        self._is_started = True
        journal, request_id = self._state.journal, self._invocation.request_id
        journal.request_id = request_id
        version = self._state.config.version
        record = platform_events.start(request_id, version, self._trace.record(), self._invocation.tenant_id)
        journal.platform(platform_events.START, record, report.start_line(request_id, version))

    def _publish_runtime_done(self, status: str, error_type: str) -> None:
        stage = self._state.stage
        record = platform_events.runtime_done(
            self._invocation.request_id,
            status,
            milliseconds(stage.now_ns - self._at.began_ns),
            self._produced_bytes,
            error_type,
            self._at.runtime_spans(stage),
            self._trace.record(),
            self._invocation.tenant_id,
        )
        self._state.journal.platform(platform_events.RUNTIME_DONE, record)

    def _finish(self, status: str, error_type: str, cut_to_ms: float | None, fatal: Fatal | None) -> None:
        """The report; a timeout's duration is cut to the limit (lambda-platform-2026.md 5)."""
        state = self._state
        self._is_over = True
        state.stage.cancel_timer(INVOKE_DEADLINE)
        state.runtime.event_is_done()
        elapsed_ms = milliseconds(state.stage.now_ns - self._at.began_ns)
        final = self._report(status, error_type, elapsed_ms if cut_to_ms is None else float(cut_to_ms))
        self._publish_report(final)
        state.stage.emit(CloseInvocation(final))
        state.journal.request_id = state.journal.worked_for = None
        self._ended(fatal)

    def _report(self, status: str, error_type: str, duration_ms: float) -> Report:
        config = self._state.config
        policy = self._state.policy
        billed_init_ms = (self._init_ms or 0.0) if policy.bill_init else 0.0
        if policy.bill_suppressed_init:
            billed_init_ms += self.suppressed_init_ms
        return Report(
            self._invocation.request_id,
            status,
            error_type,
            duration_ms,
            billed_ms(duration_ms, billed_init_ms),
            config.memory_mb,
            self._state.max_memory_used_mb,
            self._init_ms,
        )

    def _publish_report(self, final: Report) -> None:
        record = platform_events.report(
            final.request_id,
            final.status,
            final.duration_ms,
            final.billed_duration_ms,
            final.memory_size_mb,
            final.max_memory_used_mb,
            final.init_duration_ms,
            final.error_type,
            self._at.extension_spans(self._state.stage),
            self._trace.record(),
            self._invocation.tenant_id,
        )
        line = report.report_line(
            final.request_id,
            final.duration_ms,
            final.billed_duration_ms,
            final.memory_size_mb,
            final.max_memory_used_mb,
            final.init_duration_ms,
            final.status,
            final.error_type,
        )
        lines = (report.end_line(final.request_id), line, *self._trace.lines())
        self._state.journal.platform(platform_events.REPORT, record, *lines)

    def _fault_lines(self, fatal: Fatal) -> tuple[str, ...]:
        """As text log streams had them before 2026 (lambda-platform.md 8.1)."""
        request_id = self._invocation.request_id
        if fatal.error_type == SANDBOX_TIMEOUT:
            return (f"{self._state.stage.time_text()} {request_id} {fatal.message}",)
        return (f"RequestId: {request_id} Error: {fatal.message}", fatal.error_type)
