"""The real agent with a configuration file: what it goes by, what it masks, what it says where the file is broken."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from support.agent_process import AgentProcess, lines_in
from support.commands import run_json, tailrace, write_function
from support.fake_lambda_api import FakeLambdaApi
from support.telemetry import event, invocation

SECRET = "hunter2-and-more"


def settings(tmp_path: Path, text: str, **environ: str) -> dict[str, str]:
    file = tmp_path / "tailrace.toml"
    file.write_text(text)
    return {"TAILRACE_CONFIG_FILE": str(file), "TAILRACE_SPOOL_DIR": str(tmp_path / "spool"), **environ}


def delivered(folder: Path) -> list[dict[str, Any]]:
    return sorted((json.loads(line) for line in lines_in(folder)), key=lambda line: int(line["seq"]))


def test_each_destination_of_the_file_gets_what_it_asks_for(opt: Path, api: FakeLambdaApi, tmp_path: Path) -> None:
    text = f"""
    flush = "end"
    [[destinations]]
    url = "file://{tmp_path}/loud"
    types = ["function", "extension"]
    min_level = "warn"
    exclude = "noise"
    [[destinations]]
    url = "file://{tmp_path}/all"
    """
    with AgentProcess(opt, api.address, settings(tmp_path, text)) as agent:
        api.invoke("request-1")
        lines = ["[ERROR]\tt\ti\tgone", {"level": "info"}, "who knows", "ERROR noise"]
        api.post_telemetry([*invocation("request-1", *lines), event("extension", "theirs")])
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0
        rows = agent.ledger()
    loud = [line["record"] for line in delivered(tmp_path / "loud")]
    assert loud == ["[ERROR]\tt\ti\tgone", "who knows", "theirs"]
    everything = delivered(tmp_path / "all")
    assert [line["type"] for line in everything] == ["platform.start", *["function"] * 4, "platform.runtimeDone"]
    assert [(row["received"], row["delivered"], row["filtered"]) for row in rows.values()] == [(7, 3, 4), (7, 6, 1)]


def test_what_the_file_names_is_subscribed_to(opt: Path, api: FakeLambdaApi, tmp_path: Path) -> None:
    with AgentProcess(opt, api.address, settings(tmp_path, 'types = ["function", "extension"]')):
        api.wait_for_next()
        assert api.subscription()["types"] == ["platform", "function", "extension"]


def test_a_secret_reaches_neither_destination_nor_disk_nor_output(
    opt: Path, api: FakeLambdaApi, tmp_path: Path
) -> None:
    text = f"""
    destinations = ["file://{tmp_path}/out", "http://127.0.0.1:9/never"]
    mask = ["email", {{ name = "hunters", pattern = "hunter2[a-z-]*" }}]
    mask_keys = ["password"]
    """
    with AgentProcess(opt, api.address, settings(tmp_path, text)) as agent:
        api.invoke("request-1")
        lines = [f"key {SECRET}", {"password": SECRET, "to": "bob@example.com"}, json.dumps({"a": [SECRET]})]
        api.post_telemetry(invocation("request-1", *lines))
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0
        said = next(line for line in agent.said() if line.get("message") == "masked before delivery")
    assert said["rules"] == {"hunters": 2, "email": 1, "keys": 1}
    assert [line["record"] for line in delivered(tmp_path / "out")][1:4] == [
        "key ***",
        {"password": "***", "to": "***"},
        '{"a": ["***"]}',
    ]
    files = [path for folder in ("out", "spool") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert SECRET.encode() not in agent.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mask = [", "tailrace.toml: it is not TOML: "),
        ('mask = [{ pattern = "(a+)+" }]', "mask, first entry, pattern: the pattern may be too slow: "),
        ('mask_rules = ["email"]', "tailrace.toml: mask_rules: there is no such key"),
    ],
)
def test_with_a_mask_that_cannot_be_used_lines_are_withheld_and_counted(
    opt: Path, api: FakeLambdaApi, tmp_path: Path, text: str, said: str
) -> None:
    environ = settings(tmp_path, text, TAILRACE_DESTINATIONS=f"file://{tmp_path}/out")
    with AgentProcess(opt, api.address, environ) as agent:
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", SECRET))
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0
        assert [message for message in agent.messages() if said in message]
    assert [line["record"] for line in delivered(tmp_path / "out") if line["type"] == "function"] == ["withheld"]


def test_a_broken_file_costs_what_stands_in_it_and_nothing_else(opt: Path, api: FakeLambdaApi, tmp_path: Path) -> None:
    environ = settings(tmp_path, "end_wait_ms = [", TAILRACE_DESTINATIONS=f"file://{tmp_path}/out")
    with AgentProcess(opt, api.address, environ) as agent:
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", "hello"))
        api.wait_for_next(2)
        assert "hello" in [line["record"] for line in delivered(tmp_path / "out")]
        api.shutdown()
        assert agent.exit_code() == 0
        assert len(agent.messages()) == 1


def test_an_entry_of_the_file_without_a_usable_url_has_a_row_that_counts_what_it_misses(
    opt: Path, api: FakeLambdaApi, tmp_path: Path
) -> None:
    text = f"""
    destinations = [{{ name = "nowhere" }}, "${{NOT_SET}}", "fil:///x", "file://{tmp_path}/out"]
    """
    with AgentProcess(opt, api.address, settings(tmp_path, text)) as agent:
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", "hello"))
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0
        rows = agent.ledger()
        said = [message for message in agent.messages() if message.endswith("; nothing is delivered there")]
    places = [f"{tmp_path}/tailrace.toml: destinations, {word} entry" for word in ("first", "second", "third")]
    assert [message.partition(" entry: ")[0] + " entry" for message in said] == places
    assert set(rows) == {*places, f"file://{tmp_path}/out"}
    for place in places:
        assert rows[place]["received"] == 3
        assert rows[place]["dropped"] == {"bad_configuration": 3}
    assert rows[f"file://{tmp_path}/out"]["delivered"] == 3


def test_a_stand_in_delivers_while_the_first_one_is_down(opt: Path, api: FakeLambdaApi, tmp_path: Path) -> None:
    text = f"""
    [[destinations]]
    url = "http://127.0.0.1:9/closed"
    name = "first"
    [[destinations]]
    url = "file://{tmp_path}/out"
    failover_for = "first"
    """
    with AgentProcess(opt, api.address, settings(tmp_path, text)) as agent:
        api.invoke("request-1")
        api.post_telemetry(invocation("request-1", "to the first"))
        api.wait_for_next(2)
        agent.wait_for_line("127.0.0.1:9")
        limit_s = time.monotonic() + 30
        number = 1
        while not lines_in(tmp_path / "out"):
            assert time.monotonic() < limit_s
            number += 1
            api.invoke(f"request-{number}")
            api.post_telemetry(invocation(f"request-{number}", "to the second"))
            api.wait_for_next(number + 1)
        api.shutdown()
        assert agent.exit_code() == 0
        rows = list(agent.ledger().values())
    assert rows[0]["filtered"] + rows[1]["filtered"] == rows[0]["received"] == rows[1]["received"]
    assert rows[1]["delivered"] == rows[0]["filtered"] > 0


SHOP = "def handler(event, context):\n    print('to bob@example.com')\n"


def test_the_local_environment_uses_the_file_beside_the_code(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", SHOP)
    (code / "tailrace.toml").write_text(f'destinations = "file://{tmp_path}/out"\nmask = "email"\n')
    document = run_json("app.handler", "--code", code, "--extension", "tailrace", "--isolation", "process")
    assert set(document["ledger"]) == {"type", f"file://{tmp_path}/out"}
    assert "to ***" in [str(line["record"]).strip() for line in delivered(tmp_path / "out")]


def test_the_local_environment_tells_all_that_is_wrong_with_the_file_before_anything_starts(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", SHOP)
    (code / "tailrace.toml").write_text('flsh = "end"\ndestinations = "fil:///x"\n')
    result = tailrace("run", "app.handler", "--code", code, "--extension", "tailrace")
    assert result.returncode == 2
    assert 'tailrace.toml: flsh: there is no such key (did you mean "flush"?)' in result.stderr
    assert "also " in result.stderr
    assert 'unknown scheme "fil"' in result.stderr
