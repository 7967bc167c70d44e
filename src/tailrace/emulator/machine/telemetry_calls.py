"""Subscribing to telemetry, by either of its two APIs (lambda-platform.md 5.1 to 5.5, 7)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tailrace.emulator.machine.effects import ConnectSubscriber, Respond
from tailrace.emulator.machine.facts import HttpRequested, SubscriberConnected
from tailrace.emulator.machine.http_reply import HttpReply, refusal, text_reply
from tailrace.emulator.machine.registry import Extension
from tailrace.emulator.machine.sandbox_state import SandboxState
from tailrace.protocol import logs_api, platform_events, report, telemetry_api
from tailrace.protocol.replies import ApiError
from tailrace.protocol.telemetry_api import Subscription


@dataclass(frozen=True, slots=True)
class SubscriptionApi:
    """What the two APIs do differently; `event` is what platform subscribers are told."""

    parse: Callable[[bytes], Subscription | ApiError]
    schema_versions: tuple[str, ...]
    not_supported: ApiError
    closed: ApiError
    validation_error_type: str
    event: str
    line: Callable[[str, Iterable[str]], str]


TELEMETRY_API = SubscriptionApi(
    telemetry_api.parse_subscription,
    telemetry_api.SCHEMA_VERSIONS,
    telemetry_api.NOT_SUPPORTED,
    telemetry_api.SUBSCRIPTION_CLOSED,
    telemetry_api.VALIDATION_ERROR_TYPE,
    platform_events.TELEMETRY_SUBSCRIPTION,
    report.telemetry_line,
)
LOGS_API = SubscriptionApi(
    logs_api.parse_subscription,
    logs_api.SCHEMA_VERSIONS,
    logs_api.NOT_SUPPORTED,
    logs_api.SUBSCRIPTION_CLOSED,
    logs_api.VALIDATION_ERROR_TYPE,
    platform_events.LOGS_SUBSCRIPTION,
    report.logs_line,
)
OTHER_API = "the extension is already subscribed by the other one of Telemetry API and Logs API"


@dataclass(frozen=True, slots=True)
class _Connecting:
    """A subscription over TCP whose listener is being connected to. The request stays open meanwhile."""

    exchange: int
    extension: Extension
    api: SubscriptionApi
    subscription: Subscription


class TelemetryCalls:
    """`identify` finds who calls, or gives the refusal."""

    def __init__(self, state: SandboxState, identify: Callable[[HttpRequested], Extension | ApiError]) -> None:
        self._state = state
        self._identify = identify
        self._connecting: dict[int, _Connecting] = {}
        self._connections = itertools.count(1)

    def telemetry(self, fact: HttpRequested) -> None:
        self._subscribe(fact, TELEMETRY_API, self._state.policy.telemetry_api_enabled)

    def logs(self, fact: HttpRequested) -> None:
        self._subscribe(fact, LOGS_API, self._state.policy.logs_api_enabled)

    def connected(self, fact: SubscriberConnected) -> None:
        """Meanwhile the window may have closed, or the extension's generation may be over."""
        found = self._connecting.pop(fact.connection, None)
        if found is None:
            return
        if fact.error:
            self._answer(found.exchange, refusal(_no_listener(found, fact.error)))
        elif self._state.registry.by_identifier(found.extension.identifier) is not found.extension:
            self._answer(found.exchange, refusal(found.api.closed))
        else:
            self._answer(found.exchange, self._accept(found.extension, found.api, found.subscription))

    def _subscribe(self, fact: HttpRequested, api: SubscriptionApi, is_enabled: bool) -> None:
        """Without support nothing is looked at (as recorded); else a wrong body is refused before a closed window."""
        if not is_enabled:
            self._answer(fact.exchange, refusal(api.not_supported))
            return
        extension = self._identify(fact)
        if not isinstance(extension, Extension):
            self._answer(fact.exchange, refusal(extension))
            return
        wanted = api.parse(fact.body)
        problem = wanted if isinstance(wanted, ApiError) else self._problem(extension, api)
        if isinstance(wanted, ApiError) or problem is not None:
            self._answer(fact.exchange, refusal(problem or api.closed))
        elif wanted.protocol == telemetry_api.TCP:
            connection = next(self._connections)
            self._connecting[connection] = _Connecting(fact.exchange, extension, api, wanted)
            self._state.stage.emit(ConnectSubscriber(connection, extension.name, wanted.port))
        else:
            self._answer(fact.exchange, self._accept(extension, api, wanted))

    def _accept(self, extension: Extension, api: SubscriptionApi, wanted: Subscription) -> HttpReply:
        problem = self._problem(extension, api)
        if problem is not None:
            return refusal(problem)
        state = self._state
        state.telemetry.subscribe(extension.name, wanted)
        told = api is TELEMETRY_API or state.policy.logs_subscription_line
        lines = (api.line(extension.name, wanted.types),) if told else ()
        record = platform_events.subscription(extension.name, wanted.types)
        state.journal.platform(api.event, record, *lines)
        return text_reply(200, telemetry_api.OK_BODY)

    def _problem(self, extension: Extension, api: SubscriptionApi) -> ApiError | None:
        """Each extension uses one API only (lambda-platform.md 7.3)."""
        if not self._state.telemetry.window_is_open:
            return api.closed
        present = self._state.telemetry.subscription_of(extension.name)
        if present is None or present.schema_version in api.schema_versions:
            return None
        if self._state.policy.second_api_refused_as_closed:
            return api.closed
        return ApiError(400, api.validation_error_type, OTHER_API)

    def _answer(self, exchange: int, reply: HttpReply) -> None:
        self._state.stage.emit(Respond(exchange, reply.status, reply.headers, reply.body))


def _no_listener(found: _Connecting, error: str) -> ApiError:
    address = f"127.0.0.1:{found.subscription.port}"
    text = f"Invalid destination: could not TCP dial provided address {address}: dial tcp {address}: connect: {error}"
    return ApiError(400, found.api.validation_error_type, text)
