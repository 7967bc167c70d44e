"""What every telemetry event says: builders of records, and their shapes as data (lambda-platform.md 6).

Builders write the newest schema; `as_version` takes away what an older one has not. Optional members are left out,
never null, because typed consumers refuse null (lambda-platform.md 6.1).
"""

from __future__ import annotations

from tailrace.protocol.telemetry_api import SCHEMA_2022_07_01, SCHEMA_2022_12_13, SCHEMA_2025_01_29

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Record = dict[str, object]

INIT_START = "platform.initStart"
INIT_RUNTIME_DONE = "platform.initRuntimeDone"
INIT_REPORT = "platform.initReport"
START = "platform.start"
RUNTIME_DONE = "platform.runtimeDone"
REPORT = "platform.report"
RESTORE_START = "platform.restoreStart"
RESTORE_RUNTIME_DONE = "platform.restoreRuntimeDone"
RESTORE_REPORT = "platform.restoreReport"
EXTENSION_STATE = "platform.extension"
TELEMETRY_SUBSCRIPTION = "platform.telemetrySubscription"
LOGS_SUBSCRIPTION = "platform.logsSubscription"
LOGS_DROPPED = "platform.logsDropped"
FAULT = "platform.fault"
END = "platform.end"
FUNCTION = "function"
EXTENSION = "extension"

SUCCESS, FAILURE, ERROR, TIMEOUT = "success", "failure", "error", "timeout"
STATUSES = (SUCCESS, FAILURE, ERROR, TIMEOUT)
ON_DEMAND, PROVISIONED_CONCURRENCY = "on-demand", "provisioned-concurrency"
PHASE_INIT, PHASE_INVOKE = "init", "invoke"
SUBSCRIBED = "Subscribed"

SLOW_CONSUMER = "Some logs were dropped because the downstream consumer is slower than the logs production rate"
"""The reason of `platform.logsDropped` in the documentation's example (lambda-platform.md 5.9)."""

TRACE_TYPE = "X-Amzn-Trace-Id"


def milliseconds(n_ns: int) -> float:
    """A duration as events write it: milliseconds with at most three decimals, cut, not rounded."""
    return max(n_ns, 0) // 1000 / 1000


def event(time: str, type_: str, record: object) -> Record:
    """The envelope; `time` is RFC 3339 with milliseconds, of the event's making."""
    return {"time": time, "type": type_, "record": record}


def tracing(header: str, span_id: str = "") -> Record | None:
    """A TraceContext for an X-Ray header, or None where there is none."""
    if not header:
        return None
    members: Record = {"spanId": span_id} if span_id else {}
    members["type"] = TRACE_TYPE
    members["value"] = header
    return members


def span(name: str, start: str, duration_ms: float) -> Record:
    return {"name": name, "start": start, "durationMs": duration_ms}


def init_start(
    phase: str,
    function_name: str,
    function_version: str,
    runtime_version: str = "",
    runtime_version_arn: str = "",
    instance_id: str = "",
    instance_max_memory_mb: int = 0,
    initialization_type: str = ON_DEMAND,
) -> Record:
    return {"initializationType": initialization_type, "phase": phase} | _present(
        {
            "runtimeVersion": runtime_version,
            "runtimeVersionArn": runtime_version_arn,
            "functionName": function_name,
            "functionVersion": function_version,
            "instanceId": instance_id,
            "instanceMaxMemory": instance_max_memory_mb,
        }
    )


def init_runtime_done(phase: str, status: str, error_type: str = "", initialization_type: str = ON_DEMAND) -> Record:
    members: Record = {"initializationType": initialization_type, "phase": phase, "status": status}
    return members | _present({"errorType": error_type})


def init_report(
    phase: str, status: str, duration_ms: float, error_type: str = "", initialization_type: str = ON_DEMAND
) -> Record:
    members: Record = {"initializationType": initialization_type, "phase": phase, "status": status}
    return members | _present({"errorType": error_type}) | {"metrics": {"durationMs": duration_ms}}


def start(request_id: str, version: str, tracing: Record | None = None, tenant_id: str = "") -> Record:
    members: Record = {"requestId": request_id, "version": version}
    if tracing:
        members["tracing"] = tracing
    if tenant_id:
        members["tenantId"] = tenant_id
    return members


def runtime_done(
    request_id: str,
    status: str,
    duration_ms: float,
    produced_bytes: int,
    error_type: str = "",
    spans: Sequence[Record] = (),
    tracing: Record | None = None,
    tenant_id: str = "",
) -> Record:
    members: Record = {"requestId": request_id, "status": status}
    if tenant_id:
        members["tenantId"] = tenant_id
    if error_type:
        members["errorType"] = error_type
    members["metrics"] = {"durationMs": duration_ms, "producedBytes": produced_bytes}
    _add_context(members, spans, tracing)
    return members


def report(
    request_id: str,
    status: str,
    duration_ms: float,
    billed_duration_ms: int,
    memory_size_mb: int,
    max_memory_used_mb: int,
    init_duration_ms: float | None = None,
    error_type: str = "",
    spans: Sequence[Record] = (),
    tracing: Record | None = None,
    tenant_id: str = "",
) -> Record:
    metrics: Record = {
        "durationMs": duration_ms,
        "billedDurationMs": billed_duration_ms,
        "memorySizeMB": memory_size_mb,
        "maxMemoryUsedMB": max_memory_used_mb,
    }
    if init_duration_ms is not None:
        metrics["initDurationMs"] = init_duration_ms
    members: Record = {"requestId": request_id}
    if tenant_id:
        members["tenantId"] = tenant_id
    members["metrics"] = metrics
    _add_context(members, spans, tracing)
    members["status"] = status
    if error_type:
        members["errorType"] = error_type
    return members


def extension_state(name: str, state: str, events: Iterable[str], error_type: str = "") -> Record:
    members: Record = {"name": name, "state": state, "events": list(events)}
    return members | _present({"errorType": error_type})


def subscription(name: str, types: Iterable[str]) -> Record:
    """The record of `platform.telemetrySubscription` and `platform.logsSubscription`."""
    return {"name": name, "state": SUBSCRIBED, "types": list(types)}


def logs_dropped(reason: str, dropped_records: int, dropped_bytes: int) -> Record:
    return {"reason": reason, "droppedRecords": dropped_records, "droppedBytes": dropped_bytes}


def _add_context(members: Record, spans: Sequence[Record], tracing: Record | None) -> None:
    if spans:
        members["spans"] = list(spans)
    if tracing:
        members["tracing"] = tracing


def _present(members: Mapping[str, object]) -> Record:
    return {name: value for name, value in members.items() if value not in (None, "", [], 0)}


# ---- shapes: (member, kind, is it always there, the first schema that has it)

TEXT, NUMBER, INTEGER, TEXTS, OBJECT, SPANS = "text", "number", "integer", "texts", "object", "spans"
_FIRST, _SECOND, _THIRD = SCHEMA_2022_07_01, SCHEMA_2022_12_13, SCHEMA_2025_01_29

_IDENTITY = (
    ("runtimeVersion", TEXT, False, _FIRST),
    ("runtimeVersionArn", TEXT, False, _FIRST),
    ("functionName", TEXT, False, _SECOND),
    ("functionVersion", TEXT, False, _SECOND),
    ("instanceId", TEXT, False, _SECOND),
    ("instanceMaxMemory", INTEGER, False, _SECOND),
)
_STATUS = (("status", TEXT, True, _FIRST), ("errorType", TEXT, False, _FIRST))
_CONTEXT = (("spans", SPANS, False, _FIRST), ("tracing", OBJECT, False, _FIRST))
_INIT = (("initializationType", TEXT, True, _FIRST), ("phase", TEXT, True, _FIRST))
_REQUEST = (("requestId", TEXT, True, _FIRST),)
_TENANT = (("tenantId", TEXT, False, _THIRD),)
_METRICS = (("metrics", OBJECT, True, _FIRST),)
_SUBSCRIPTION = (
    ("name", TEXT, True, _FIRST),
    ("state", TEXT, True, _FIRST),
    ("types", TEXTS, True, _FIRST),
)

SHAPES: dict[str, tuple[tuple[str, str, bool, str], ...]] = {
    INIT_START: (*_INIT, *_IDENTITY, ("tracing", OBJECT, False, _SECOND)),
    INIT_RUNTIME_DONE: (*_INIT, *_STATUS, *_CONTEXT),
    INIT_REPORT: (
        *_INIT,
        ("status", TEXT, True, _THIRD),
        ("errorType", TEXT, False, _FIRST),
        *_METRICS,
        *_CONTEXT,
    ),
    START: (
        *_REQUEST,
        ("version", TEXT, False, _FIRST),
        ("tracing", OBJECT, False, _FIRST),
        ("functionArn", TEXT, False, _THIRD),
        *_TENANT,
    ),
    RUNTIME_DONE: (*_REQUEST, *_STATUS, ("metrics", OBJECT, False, _FIRST), *_CONTEXT, *_TENANT),
    REPORT: (*_REQUEST, *_STATUS, *_METRICS, *_CONTEXT, *_TENANT),
    RESTORE_START: _IDENTITY,
    RESTORE_RUNTIME_DONE: (*_STATUS, *_CONTEXT),
    RESTORE_REPORT: (*_STATUS, ("metrics", OBJECT, False, _FIRST), *_CONTEXT),
    EXTENSION_STATE: (
        ("name", TEXT, True, _FIRST),
        ("state", TEXT, True, _FIRST),
        ("events", TEXTS, True, _FIRST),
        ("errorType", TEXT, False, _FIRST),
    ),
    TELEMETRY_SUBSCRIPTION: _SUBSCRIPTION,
    LOGS_SUBSCRIPTION: _SUBSCRIPTION,
    LOGS_DROPPED: (
        ("reason", TEXT, True, _FIRST),
        ("droppedRecords", INTEGER, True, _FIRST),
        ("droppedBytes", INTEGER, True, _FIRST),
    ),
    END: _REQUEST,
}
"""Records that are objects. `platform.fault` is a text; `function` and `extension` are a text or, from
2022-12-13 on under the JSON log format, an object."""

METRICS: dict[str, str] = {
    "durationMs": NUMBER,
    "billedDurationMs": INTEGER,
    "memorySizeMB": INTEGER,
    "maxMemoryUsedMB": INTEGER,
    "initDurationMs": NUMBER,
    "restoreDurationMs": NUMBER,
    "billedRestoreDurationMs": INTEGER,
    "producedBytes": INTEGER,
}
SINCE: dict[str, str] = {RESTORE_START: _SECOND, RESTORE_RUNTIME_DONE: _SECOND, RESTORE_REPORT: _SECOND}
EVENT_TYPES = (*SHAPES, FAULT, FUNCTION, EXTENSION)


def exists_in(type_: str, version: str) -> bool:
    """Whether subscribers of schema `version` get events of this type."""
    return SINCE.get(type_, _FIRST) <= version


def as_version(type_: str, record: object, version: str) -> object:
    """The record as schema `version` writes it; unknown types and members pass."""
    shape = SHAPES.get(type_)
    if shape is None or not isinstance(record, dict) or version >= _THIRD:
        return record
    newer = {name for name, _, _, since in shape if since > version}
    return {name: value for name, value in record.items() if name not in newer}


def problems_of(value: object, version: str = _THIRD) -> list[str]:
    """What in an event breaks the contract of schema `version`; unknown types and members are nobody's problem."""
    if not isinstance(value, dict):
        return ["the event is not an object"]
    problems = [f"{name} is not a text" for name in ("time", "type") if not isinstance(value.get(name), str)]
    shape = SHAPES.get(str(value.get("type")))
    if shape is None:
        return problems
    record = value.get("record")
    if not isinstance(record, dict):
        return [*problems, "record is not an object"]
    for name, kind, required, since in shape:
        if name not in record:
            if required and since <= version:
                problems.append(f"record.{name} is missing")
        elif since > version:
            problems.append(f"record.{name} came later than {version}")
        elif not _is(kind, record[name]):
            problems.append(f"record.{name} is not of kind {kind}")
    return problems + _metrics_problems(record.get("metrics"))


def _metrics_problems(metrics: object) -> list[str]:
    if not isinstance(metrics, dict):
        return []
    return [
        f"record.metrics.{name} is not of kind {METRICS[name]}"
        for name, value in metrics.items()
        if name in METRICS and not _is(METRICS[name], value)
    ]


def _is(kind: str, value: object) -> bool:
    if kind == TEXT:
        return isinstance(value, str)
    if kind in (NUMBER, INTEGER):
        return isinstance(value, int if kind == INTEGER else int | float) and not isinstance(value, bool)
    if kind == OBJECT:
        return isinstance(value, dict)
    if kind == TEXTS:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, list) and all(
        isinstance(item, dict) and isinstance(item.get("name"), str) and isinstance(item.get("start"), str)
        for item in value
    )
