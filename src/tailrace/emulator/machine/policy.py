"""What the platform does where nobody outside can verify it, where sources disagree, or where it can be configured:
named, with a default each."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from typing import Any

from tailrace.emulator.machine.choice import Choice, choice
from tailrace.errors import ConfigError
from tailrace.protocol.platform_events import ON_DEMAND, PROVISIONED_CONCURRENCY


@dataclass(frozen=True, slots=True)
class Policy:
    """Every field is a choice that knows its meaning and its source. Times are in milliseconds where the name says so.

    ``Policy().parse("init_timeout_ms", "5000")`` is a policy with another value in one of them.
    """

    # init and billing
    initialization_type: str = choice(
        ON_DEMAND,
        "how the environment came to be: provisioned ones are initialised ahead, with minutes to spare and unbilled",
        "lambda-platform.md 1.3, 4.8",
        allowed=(ON_DEMAND, PROVISIONED_CONCURRENCY),
    )
    init_timeout_ms: int = choice(
        10_000, "time for an on-demand init before it is given up and repeated", "lambda-platform.md 4.2", least=1
    )
    bill_init: bool = choice(
        True,
        "the first billed duration includes the init; before August 2025 only for images and custom runtimes",
        "lambda-platform-2026.md 5",
    )
    bill_suppressed_init: bool = choice(
        False,
        "an init inside an invocation is billed beside the duration, which contains it already",
        "lambda-platform-2026.md 10, row 120: unverified",
    )
    early_init_in_first_report: bool = choice(
        True,
        "the first report tells and bills an init that had ended before anybody called",
        "lambda-platform-2026.md 10, row 133: unverified",
    )

    # what goes wrong
    handled_error_status: str = choice(
        "success",
        "status in telemetry of an invocation whose handler raised; `success` in the source of AWS's emulator",
        "lambda-platform.md 4.3, 12.1",
        allowed=("success", "error"),
    )
    out_of_memory_error_type: str = choice(
        "Runtime.OutOfMemory",
        "error type of an invocation that went over the function's memory: the newer one or the older one",
        "lambda-platform.md 4.5, 12.2",
        allowed=("Runtime.OutOfMemory", "Runtime.ExitError"),
    )
    extension_error_ends_phase: bool = choice(
        True,
        "init/error and exit/error of an extension end the phase at once; AWS's emulator waits for the process to end",
        "lambda-platform.md 2.7",
    )
    idle_crash_fails_next_invocation: bool = choice(
        True,
        "a process that ended between invocations fails the next one, as recorded on AWS's emulator",
        "lambda-platform.md 4.5",
    )
    legacy_fault_lines: bool = choice(
        False,
        "timeouts and faults have lines of their own in a text log, as before 2026",
        "lambda-platform-2026.md 5",
    )

    # freeze
    freeze_after_ms: int = choice(
        2,
        "an environment that has had nothing to do for so long is frozen; at once where faults are planned, so that "
        "a run does not depend on how soon the next call comes",
        "lambda-platform.md 4.7: the service does not say how soon it freezes",
    )

    # what processes are told
    availability_zone_id: str = choice(
        "", "zone id that the metadata endpoint tells; empty takes the region's first", "lambda-platform-2026.md 2"
    )
    metadata_token_survives_resets: bool = choice(
        True,
        "the token of the metadata endpoint stays the same when the environment is reset",
        "lambda-platform-2026.md 10, row 108: unverified",
    )
    container_credentials: bool = choice(
        False,
        "credentials come from the environment's own endpoint instead of static variables, as with SnapStart",
        "lambda-platform.md 1.5",
    )
    container_credentials_lifetime_s: int = choice(
        21_600, "seconds until credentials of that endpoint expire", "lambda-platform.md 1.5: unverified", least=1
    )

    # logs
    system_log_level: str = choice(
        "INFO",
        "least level of platform events in a JSON log stream",
        "lambda-platform.md 5.11",
        allowed=("DEBUG", "INFO", "WARN"),
    )
    wrapped_lines_carry_request_id: bool = choice(
        True,
        "a plain line that telemetry wraps into an object names its request",
        "lambda-platform.md 5.11: unverified",
    )

    # shutdown
    shutdown_budget_ms: int = choice(
        2_000, "time for the end with an external extension", "lambda-platform.md 4.6", least=1
    )
    shutdown_budget_internal_ms: int = choice(
        500, "time for the end with internal extensions only", "lambda-platform.md 4.6", least=1
    )
    shutdown_runtime_share: float = choice(
        0.3,
        "the runtime's share of the first budget: 30 % as recorded on AWS's emulator, 300 ms in the documentation",
        "lambda-platform.md 4.6",
        most=1,
    )
    shutdown_drain_ms: int = choice(
        1_000,
        "time for telemetry before extensions are told; managed instances flush for one second at most",
        "lambda-platform.md 5.8",
    )

    # telemetry
    telemetry_api_enabled: bool = choice(
        True,
        "the Telemetry API delivers; without it subscriptions are answered 202, as by other local environments",
        "lambda-platform.md 5.2, row 104",
    )
    logs_api_enabled: bool = choice(
        True,
        "the Logs API delivers; without it subscriptions are answered 202, as by other local environments",
        "lambda-platform.md 7.1, row 104",
    )
    second_api_refused_as_closed: bool = choice(
        True,
        "an extension that subscribes by both APIs gets 403 SubscriptionClosed for the second, else 400",
        "lambda-platform.md 7.3: the refusal is documented, its status is unverified",
    )
    telemetry_api_keeps_newline: bool = choice(
        False, "function lines end in their line feed for the Telemetry API", "lambda-platform.md 5.10, 12.1"
    )
    logs_api_keeps_newline: bool = choice(
        True, "function lines end in their line feed for the Logs API", "lambda-platform.md 5.10, 12.1"
    )
    logs_subscription_line: bool = choice(
        True, "a subscription by the Logs API has a line in a text log", "lambda-platform.md 8.1: unverified"
    )
    telemetry_strips_carriage_return: bool = choice(
        True,
        "a carriage return before the line feed is no part of the record, as recorded on AWS's emulator",
        "lambda-platform.md 5.10: unverified on the service",
    )
    telemetry_redirect_acknowledges: bool = choice(
        False,
        "a subscriber's answer 3xx counts as delivered, as recorded on AWS's emulator; documented are 2xx",
        "lambda-platform.md 5.6",
    )
    cut_oversized_records: bool = choice(
        False,
        "a line beyond maxBytes is cut in the middle, and the body is invalid JSON there, as seen on the service; "
        "else it is delivered whole in a batch that exceeds maxBytes",
        "lambda-platform.md 5.10",
    )
    log_level_filters_telemetry: bool = choice(
        True,
        "function lines below AWS_LAMBDA_LOG_LEVEL are kept from subscribers as well as from the log; JSON format only",
        "lambda-platform.md 5.11: unverified",
    )
    telemetry_tcp_reconnects: bool = choice(
        True,
        "a broken TCP connection to a subscriber is made again and the batch sent again; else it is lost, as AWS's "
        "emulator does",
        "lambda-platform.md 5.7: unverified",
    )
    telemetry_retry_delays_ms: tuple[int, ...] = choice(
        (100, 200, 400),
        "pauses before each further attempt; the documentation only says with back-off",
        "lambda-platform.md 12.1",
    )
    telemetry_attempt_timeout_ms: int = choice(
        5_000, "time for the answer to one delivery", "lambda-platform.md 5.6: undocumented", least=1
    )
    telemetry_max_buffered_bytes: int = choice(
        16 * 1_048_576,
        "memory for one slow subscriber; the service says about two times maxBytes",
        "lambda-platform.md 5.8",
        least=1,
    )
    telemetry_max_backlog_bytes: int = choice(
        4 * 1_048_576,
        "memory for the telemetry of an init, kept for subscribers that come later",
        "lambda-platform.md 5.4",
    )

    def parse(self, name: str, value: object, where: str = "policy") -> Policy:
        """This policy with `value` for `name`; a text is read as the command line means it.

        Raises `ConfigError` for a name that is none and a value that is not allowed; `where` says who gave it.
        """
        found = _FIELDS.get(name)
        if found is None:
            raise ConfigError(f"{where} {name}", "no such policy", _did_you_mean(name))
        about, kind = found
        read = about.read(value, kind)
        if read is None:
            raise ConfigError(f"{where} {name}", f"{_shown(value)} is not {about.explain(kind)}")
        changes: dict[str, Any] = {name: read}
        return dataclasses.replace(self, **changes)


_FIELDS: dict[str, tuple[Choice, type]] = {
    field.name: (field.metadata["choice"], type(field.default)) for field in dataclasses.fields(Policy)
}


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One policy for people: its default as it may be given, what it means, its source, what is allowed."""

    name: str
    default: str
    meaning: str
    source: str
    allowed: str


def policy_table() -> tuple[PolicyRow, ...]:
    """All policies, in the order in which they are defined."""
    default = Policy()
    return tuple(
        PolicyRow(name, _shown(getattr(default, name)), about.meaning, about.source, about.explain(kind))
        for name, (about, kind) in _FIELDS.items()
    )


def _did_you_mean(name: str) -> str:
    close = difflib.get_close_matches(name, _FIELDS, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(_FIELDS))}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return '""' if value == "" else str(value)
