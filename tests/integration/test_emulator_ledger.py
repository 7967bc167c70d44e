"""What the agent's ledger and the telemetry log say of an environment whose processes were started anew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.emulator_async import run, until
from support.emulator_extensions import ShellExtension
from support.emulator_runs import environment, invoke
from tailrace.emulator.telemetry.log import TelemetryEntry
from tailrace.packaging.cache import plain_layer

FUNCTION = """
import time
def handler(event, context):
    print("at work", flush=True)
    while event.get("hang"):
        time.sleep(1)
"""


def agent() -> Path:
    return plain_layer() / "extensions" / "tailrace"


def test_the_ledger_of_an_environment_that_was_reset_counts_every_line_in_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    variables = {"TAILRACE_DESTINATIONS": f"file://{out}"}

    async def main() -> Mapping[str, Any] | None:
        async with environment(tmp_path, FUNCTION, extensions=[agent()], variables=variables, timeout_s=1) as (env, _):
            assert (await invoke(env, b'{"hang": true}')).report.status == "timeout"
            await until(lambda: env.ledger is not None)
            assert (await invoke(env)).report.status == "success"
            assert env.ledger is None
        return env.ledger

    ledger = run(main())
    assert ledger is not None
    lines = [json.loads(line) for path in out.rglob("*.ndjson") for line in path.read_text().splitlines()]
    assert {name for name in ledger if name != "type"} == {f"file://{out}"}
    row = ledger[f"file://{out}"]
    assert row["delivered"] == len(lines)
    assert row["received"] == row["delivered"] + row["held"] + row["filtered"] + sum(row["dropped"].values())
    statuses = [line["record"]["status"] for line in lines if line["type"] == "platform.runtimeDone"]
    assert sorted(statuses) == ["success", "timeout"]


def test_what_was_buffered_for_a_killed_subscriber_stands_under_its_name_undelivered(tmp_path: Path) -> None:
    extension = ShellExtension(tmp_path / "ext", at_invoke="kill -9 $$;")
    source = "def handler(event, context):\n    print('never delivered')\n"

    async def main() -> Sequence[TelemetryEntry]:
        async with environment(tmp_path, source, extensions=[extension.path]) as (env, _):
            await invoke(env)
        return env.telemetry_log

    log = run(main())
    assert [(entry.subscriber, entry.delivered_at) for entry in log if entry.event["type"] == "platform.start"] == [
        ("shell-ext", None)
    ]
