"""The one JSON document of `run --json`: exact figures, with the unit in the key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tailrace.cli.story import InvokePart, Story
from tailrace.emulator.function import FunctionConfig


def run_document(
    story: Story,
    config: FunctionConfig,
    isolation: str,
    telemetry: Iterator[Mapping[str, object]],
    n_telemetry_left_out: int,
    ledger: Mapping[str, object] | None,
    exits: Mapping[str, object],
) -> dict[str, object]:
    """What happened in a run, for `written`.

    `invocations` hold what the invoker and the log stream saw; `telemetry` one entry for each event and subscriber
    (of very much output only the newest: `logsLeftOut` and `telemetryLeftOut` count the lines and entries before);
    `ledger` the agent's last words, or None where it was killed or is absent; `environment` what was run and how.
    """
    return {
        "invocations": map(_invocation, story.invocations),
        "telemetry": telemetry,
        "telemetryLeftOut": n_telemetry_left_out,
        "ledger": ledger,
        "environment": _environment(config, isolation, exits),
    }


def written(value: object) -> Iterator[str]:
    """JSON text in pieces: as a whole it could take several times the memory of what it tells of. Iterators are
    written as arrays."""
    if isinstance(value, dict):
        yield "{"
        for number, (key, member) in enumerate(value.items()):
            yield f"{', ' if number else ''}{json.dumps(key, ensure_ascii=False)}: "
            yield from written(member)
        yield "}"
    elif isinstance(value, Iterator):
        yield "["
        for number, item in enumerate(value):
            yield ", " if number else ""
            yield from written(item)
        yield "]"
    else:
        yield json.dumps(value, ensure_ascii=False)


def _invocation(part: InvokePart) -> dict[str, object]:
    report = part.report
    outcome = "response" if part.status == "success" else "error"
    entry: dict[str, object] = {
        "requestId": report.request_id,
        "status": part.status,
        outcome: part.document,
        "durationMs": report.duration_ms,
        "billedDurationMs": report.billed_duration_ms,
    }
    if report.init_duration_ms is not None:
        entry["initDurationMs"] = report.init_duration_ms
    entry["maxMemoryUsedMB"] = report.max_memory_used_mb
    entry["logs"] = iter(part.logs)
    entry["logsLeftOut"] = part.n_logs_left_out
    return entry


def _environment(config: FunctionConfig, isolation: str, exits: Mapping[str, object]) -> dict[str, object]:
    return {
        "isolation": isolation,
        "function": {
            "name": config.name,
            "version": config.version,
            "arn": config.arn,
            "handler": config.handler,
            "runtime": config.runtime_name,
            "timeoutMs": round(config.timeout_s * 1000),
            "memorySizeMB": config.memory_mb,
            "logFormat": config.log_format,
        },
        "extensions": [extension.name for extension in config.extensions],
        "exitCodes": dict(exits),
    }
