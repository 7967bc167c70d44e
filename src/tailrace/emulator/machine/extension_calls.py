"""The Extensions API's calls (lambda-platform.md 2)."""

from __future__ import annotations

from tailrace.emulator.machine.facts import HttpRequested
from tailrace.emulator.machine.fatal import EXTENSION_EXIT_ERROR, EXTENSION_INIT_ERROR, Fatal
from tailrace.emulator.machine.http_reply import ACCEPTED, HttpReply, json_reply, refusal
from tailrace.emulator.machine.registry import Extension
from tailrace.emulator.machine.sandbox_state import SandboxState
from tailrace.emulator.machine.states import CALL_INIT_ERROR, CALL_NEXT, CALL_REGISTER, TARGETS
from tailrace.protocol import extensions_api
from tailrace.protocol.extensions_api import SHUTDOWN
from tailrace.protocol.replies import ApiError, decode_error


class ExtensionCalls:
    """Each call returns its answer and the extension that made it; the caller tells the lifecycle."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def register(self, fact: HttpRequested) -> tuple[HttpReply, Extension | None]:
        """Order of checks: name, body, then what an external or an internal extension may do (2.3)."""
        name = _header(fact, extensions_api.NAME)
        if not name:
            return refusal(extensions_api.EMPTY_NAME), None
        events = extensions_api.parse_register_body(fact.body)
        if isinstance(events, ApiError):
            return refusal(events), None
        known = self._state.registry.by_name(name)
        if known is not None and known.is_external:
            if not known.can(CALL_REGISTER):
                return refusal(extensions_api.invalid_transition(name, known.state, TARGETS[CALL_REGISTER])), None
            return self._registered(known, events, fact), known
        problem = self._internal_problem(known, events)
        if problem is not None:
            return refusal(problem), None
        extension = Extension(name, is_external=False)
        self._state.registry.add(extension)
        return self._registered(extension, events, fact), extension

    def next(self, fact: HttpRequested) -> HttpReply | Extension:
        """The refusal, or the extension, which is then blocked in `next`."""
        extension = self._identified(fact)
        if not isinstance(extension, Extension):
            return refusal(extension)
        if not extension.can(CALL_NEXT):
            return _invalid(extension, CALL_NEXT)
        extension.move(CALL_NEXT)
        extension.pending = fact.exchange
        return extension

    def report_error(self, fact: HttpRequested, call: str) -> tuple[HttpReply, Fatal | None]:
        """init/error and exit/error: the answer, and the fatal error where it is news (2.7)."""
        extension = self._identified(fact, extensions_api.UNKNOWN_IDENTIFIER)
        if not isinstance(extension, Extension):
            return refusal(extension), None
        error_type = _header(fact, extensions_api.ERROR_TYPE)
        if not error_type:
            return refusal(extensions_api.MISSING_ERROR_TYPE), None
        if not extension.can(call):
            return _invalid(extension, call), None
        before = extension.state
        extension.move(call)
        if extension.state == before:
            return ACCEPTED, None
        generic = EXTENSION_INIT_ERROR if call == CALL_INIT_ERROR else EXTENSION_EXIT_ERROR
        extension.error_type = generic
        said = decode_error(0, fact.body).message
        message = f"{extension.name} reported {error_type}" + (f": {said}" if said else "")
        return ACCEPTED, Fatal(generic, message, culprit=extension.name)

    def identify(self, fact: HttpRequested) -> Extension | ApiError:
        """Who calls, or the refusal (2.6)."""
        return self._identified(fact)

    def _internal_problem(self, known: Extension | None, events: tuple[str, ...]) -> ApiError | None:
        if SHUTDOWN in events:
            return extensions_api.SHUTDOWN_NOT_FOR_INTERNAL
        if not self._state.registry.is_open:
            return extensions_api.REGISTRATION_CLOSED
        if known is not None:
            return extensions_api.DUPLICATE_NAME
        if len(self._state.registry.all()) >= extensions_api.MAX_EXTENSIONS:
            return extensions_api.TOO_MANY_EXTENSIONS
        return None

    def _registered(self, extension: Extension, events: tuple[str, ...], fact: HttpRequested) -> HttpReply:
        config = self._state.config
        extension.state = TARGETS[CALL_REGISTER]
        extension.events = events
        extension.identifier = self._state.stage.ids()
        wants_account = extensions_api.accepts_account_id(_header(fact, extensions_api.ACCEPT_FEATURE))
        account_id = config.account_id if wants_account else None
        body = extensions_api.register_reply(config.name, config.version, config.handler, account_id)
        return json_reply(200, body, (extensions_api.IDENTIFIER, extension.identifier))

    def _identified(self, fact: HttpRequested, unknown: ApiError | None = None) -> Extension | ApiError:
        """Who calls, or the refusal (2.6)."""
        text = _header(fact, extensions_api.IDENTIFIER)
        if not text:
            return extensions_api.MISSING_IDENTIFIER
        identifier = extensions_api.parse_identifier(text)
        if identifier is None:
            return extensions_api.INVALID_IDENTIFIER
        extension = self._state.registry.by_identifier(identifier)
        return extension or unknown or extensions_api.unknown_extension(identifier)


def _header(fact: HttpRequested, name: str) -> str:
    return fact.headers.get(name.lower(), "").strip()


def _invalid(extension: Extension, call: str) -> HttpReply:
    return refusal(extensions_api.invalid_transition(extension.identifier, extension.state, TARGETS[call]))
