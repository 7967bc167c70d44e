"""The one JSON document of `run --json`: exact figures, with the unit in the key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tailrace.cli.story import InvokePart, Story
from tailrace.emulator.function import FunctionConfig


def run_document(
    story: Story,
    config: FunctionConfig,
    isolation: str,
    telemetry: Iterable[Mapping[str, object]],
    ledger: Mapping[str, object] | None,
    exits: Mapping[str, object],
) -> dict[str, object]:
    """What happened in a run.

    `invocations` hold what the invoker and the log stream saw; `telemetry` one entry for each event and subscriber;
    `ledger` the agent's last words, or None where it was killed or is absent; `environment` what was run and how.
    """
    return {
        "invocations": [_invocation(part) for part in story.invocations],
        "telemetry": list(telemetry),
        "ledger": ledger,
        "environment": _environment(config, isolation, exits),
    }


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
    entry["logs"] = list(part.logs)
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
