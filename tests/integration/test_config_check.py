"""`tailrace config check` and `tailrace explain` as a user runs them."""

from __future__ import annotations

import base64
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from support.agent_process import AgentProcess
from support.commands import tailrace
from support.fake_lambda_api import FakeLambdaApi
from support.http_sink import HttpSink
from support.telemetry import event, invocation

SECRET = "hunter2"
FILE = """
flush = "end"
mask = ["email"]
[http_headers]
X-Key = "hunter2"
[[destinations]]
url = "https://user:hunter2@logs.example.com/in?key=hunter2"
name = "main"
headers = { Authorization = "Bearer ${TOKEN}" }
types = ["function"]
min_level = "warn"
[[destinations]]
url = "file:///tmp/logs"
failover_for = "main"
"""
PLAIN = {"PATH": os.environ["PATH"], "TOKEN": SECRET}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tailrace.toml"
    path.write_text(FILE)
    return path


def checked(*arguments: str | Path, env: dict[str, str], exit_code: int = 0, cwd: Path | None = None) -> dict[str, Any]:
    result = tailrace("config", "check", *arguments, "--json", env=env, cwd=cwd)
    assert result.returncode == exit_code, result.stderr
    assert SECRET not in result.stdout + result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_every_value_says_where_it_comes_from_and_no_secret_is_shown(file: Path) -> None:
    env = {**PLAIN, "TAILRACE_SETTLE_MS": "7"}
    found = checked(file, "--env", "TAILRACE_MARGIN_MS=9", env=env)
    settings = {entry["key"]: (entry["value"], entry["source"]) for entry in found["settings"]}
    assert settings["flush"] == ("end", f"{file}: flush")
    assert settings["settle_ms"] == (7, "environment variable TAILRACE_SETTLE_MS")
    assert settings["margin_ms"] == (9, "option --env TAILRACE_MARGIN_MS")
    assert settings["end_wait_ms"] == (500, "default")
    assert settings["http_headers"] == ({"X-Key": "***"}, f"{file}: http_headers")
    main = "https://***@logs.example.com/in?key=***"
    assert found["destinations"] == [
        {
            "name": main,
            "source": f"{file}: destinations, first entry",
            "headers": {"X-Key": "***", "Authorization": "***"},
            "filter": {"types": ["function"], "min_level": "warn"},
        },
        {"name": "file:///tmp/logs", "source": f"{file}: destinations, second entry", "standsInFor": main},
    ]
    assert found["masks"] == [
        {"name": "email", "rule": "email", "replacement": "***", "source": f"{file}: mask, first entry"}
    ]
    assert (found["file"], found["problems"], found["warnings"]) == (str(file), [], [])


def test_for_people_it_is_the_same_on_lines(file: Path) -> None:
    result = tailrace("config", "check", file, env=PLAIN)
    assert result.returncode == 0, result.stderr
    assert SECRET not in result.stdout
    assert f"file: {file}" in result.stdout
    assert "headers: X-Key ***, Authorization ***" in result.stdout
    assert "stands in for: https://***@logs.example.com/in?key=***" in result.stdout


def test_all_problems_are_told_and_the_exit_code_says_so(tmp_path: Path) -> None:
    (tmp_path / "tailrace.toml").write_text(
        'flsh = "end"\n[[destinations]]\nurl = "s3:/x"\n'
        '[[destinations]]\nurl = "file:///a"\nfailover_for = "nobody"\nmatch = "("\n[[mask]]\npattern = "(a+)+"'
    )
    env = {"PATH": os.environ["PATH"], "TAILRACE_FLUSH": "often", "TAILRACE_DEAD_LETTER": "https://x"}
    found = checked(env=env, cwd=tmp_path, exit_code=2)
    assert [problem["setting"] for problem in found["problems"]] == [
        "tailrace.toml: flsh",
        "TAILRACE_FLUSH",
        "tailrace.toml: destinations, first entry",
        "tailrace.toml: destinations, second entry, failover_for",
        "tailrace.toml: destinations, second entry, match",
        "tailrace.toml: mask, first entry, pattern",
        "TAILRACE_DEAD_LETTER",
    ]
    assert found["withholds"]
    lines = tailrace("config", "check", env=env, cwd=tmp_path)
    assert lines.returncode == 2
    assert "7 problems" in lines.stdout


def test_everything_at_once_is_told_with_the_layer_that_each_value_comes_from(tmp_path: Path) -> None:
    (tmp_path / "tailrace.toml").write_text("margin_ms = -5\nsettle_ms = 4\nend_wait_ms = 7\nreply_wait_ms = 1\n")
    env = {
        "PATH": os.environ["PATH"],
        "TAILRACE_SETTLE_MS": "x",
        "TAILRACE_END_WAIT_MS": "8",
        "TAILRACE_LEDGR": "record",
    }
    options = [
        "--env", "TAILRACE_END_WAIT_MS=999999", "--env", "TAILRACE_REPLY_WAIT_MS=9", "--env", "TAILRACE_SETLE_MS=1",
    ]  # fmt: skip
    found = checked(*options, env=env, cwd=tmp_path, exit_code=2)
    assert [f"{problem['setting']}: {problem['found']}" for problem in found["problems"]] == [
        'tailrace.toml: margin_ms: "-5" is not a whole number from 0 to 60000',
        'TAILRACE_SETTLE_MS: "x" is not a whole number from 0 to 10000',
        "TAILRACE_LEDGR: there is no such setting",
        'option --env TAILRACE_END_WAIT_MS: "999999" is not a whole number from 0 to 60000',
        "option --env TAILRACE_SETLE_MS: there is no such setting",
    ]
    settings = {entry["key"]: (entry["value"], entry["source"]) for entry in found["settings"]}
    assert settings["margin_ms"] == (100, "default")
    assert settings["settle_ms"] == (4, "tailrace.toml: settle_ms")
    assert settings["end_wait_ms"] == (8, "environment variable TAILRACE_END_WAIT_MS")
    assert settings["reply_wait_ms"] == (9, "option --env TAILRACE_REPLY_WAIT_MS")
    lines = tailrace("config", "check", *options, env=env, cwd=tmp_path).stdout.splitlines()
    assert ["ledger", "none", "default"] in [line.split() for line in lines]


def test_without_anything_the_defaults_hold_and_what_follows_is_said(tmp_path: Path) -> None:
    found = checked(env={"PATH": os.environ["PATH"]}, cwd=tmp_path, exit_code=2)
    assert found["file"] is None
    assert {entry["source"] for entry in found["settings"]} == {"default"}
    assert found["warnings"] == ["no destination is configured: every record is dropped"]


def test_a_destination_whose_url_is_wrong_hides_none_of_its_other_problems(tmp_path: Path) -> None:
    (tmp_path / "tailrace.toml").write_text(
        '[[destinations]]\nurl = "file:///x?foo=1"\nmin_level = "loud"\nmatch = "(a|ab)*c"\nexclude = ["["]\n'
        'headers = { A = "b" }\nqueue_max_bytes = "1GB"\nfailover_for = "nobody"\n'
        '[[destinations]]\nurl = "stdout:"\nheaders = { A = "b" }\nqueue_max_bytes = 5\n'
    )
    found = checked(env={"PATH": os.environ["PATH"]}, cwd=tmp_path, exit_code=2)
    first, second = (f"tailrace.toml: destinations, {which} entry" for which in ("first", "second"))
    assert sorted(f"{problem['setting']}: {problem['found']}" for problem in found["problems"]) == sorted(
        [
            f'{first}: unknown query key "foo" in "file:///x?foo=***"',
            f'{first}, min_level: unknown level "loud"',
            f"{first}, match: the pattern may be too slow: it repeats what is itself variable"
            " (a repetition, an option or alternatives)",
            f"{first}, exclude: it is no regular expression: unterminated character set at character 0",
            f"{first}, headers: a destination of file has no headers",
            f'{first}, queue_max_bytes: "1GB" is a text',
            f'{first}, failover_for: no usable destination is called "nobody"',
            f"{second}, headers: a destination of stdout has no headers",
            f"{second}, queue_max_bytes: 5 is out of range",
        ]
    )


def test_a_dead_letter_or_headers_that_cannot_be_used_leave_what_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "tailrace.toml").write_text(
        'destinations = "stdout:"\ndead_letter = "file:///dead"\n[http_headers]\nX-Key = "hunter2"\n'
    )
    env = {**PLAIN, "TAILRACE_DEAD_LETTER": "https://h/x", "TAILRACE_HTTP_HEADERS": "bad"}
    found = checked("--env", "TAILRACE_DEAD_LETTER=stdout:hunter2", env=env, cwd=tmp_path, exit_code=2)
    settings = {entry["key"]: (entry["value"], entry["source"]) for entry in found["settings"]}
    assert settings["dead_letter"] == ("file:///dead", "tailrace.toml: dead_letter")
    assert settings["http_headers"] == ({"X-Key": "***"}, "tailrace.toml: http_headers")
    assert [problem["setting"] for problem in found["problems"]] == [
        "TAILRACE_HTTP_HEADERS, first line",
        "option --env TAILRACE_DEAD_LETTER",
        "TAILRACE_DEAD_LETTER",
    ]
    assert found["problems"][1]["remedy"].endswith("; file:///dead is used, from tailrace.toml: dead_letter")


def test_destinations_and_masks_say_which_layer_they_come_from(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "TAILRACE_DESTINATIONS": "file:///e", "TAILRACE_MASK": "email nope"}
    found = checked("--env", "TAILRACE_DESTINATIONS=file:///o x:y", env=env, cwd=tmp_path, exit_code=2)
    (destination,) = found["destinations"]
    assert destination["name"] == "file:///o"
    assert destination["source"] == "option --env TAILRACE_DESTINATIONS, first entry"
    assert [problem["setting"] for problem in found["problems"]] == [
        "option --env TAILRACE_DESTINATIONS, second entry",
        "TAILRACE_MASK",
    ]
    assert [(mask["name"], mask["source"]) for mask in found["masks"]] == [
        ("email", "environment variable TAILRACE_MASK")
    ]
    (own,) = checked(env={**env, "TAILRACE_MASK": ""}, cwd=tmp_path)["destinations"]
    assert own["source"] == "environment variable TAILRACE_DESTINATIONS, first entry"
    (bucket,) = checked(env={"PATH": os.environ["PATH"], "S3_BUCKET_NAME": "logs"}, cwd=tmp_path)["destinations"]
    assert bucket["source"] == "environment variable S3_BUCKET_NAME"


def test_authorities_that_are_not_there_are_told_where_they_would_be_needed(tmp_path: Path) -> None:
    for url, n in (("https://h/x", 1), ("s3://logs", 1), ("http://h/x", 0), ("s3://logs?endpoint=http://h", 0)):
        env = {**PLAIN, "TAILRACE_DESTINATIONS": url, "SSL_CERT_FILE": str(tmp_path / "absent.pem")}
        found = checked(env=env, cwd=tmp_path)
        assert (
            len([one for one in found["warnings"] if one.startswith(f"SSL_CERT_FILE: {tmp_path}/absent.pem is not")])
            == n
        )


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    result = tailrace("config", "check", tmp_path / "absent.toml", env=PLAIN)
    assert result.returncode == 2
    assert "there is no such file" in result.stderr
    named = checked(env={**PLAIN, "TAILRACE_CONFIG_FILE": str(tmp_path / "absent.toml")}, exit_code=2)
    assert named["problems"][0]["setting"] == "TAILRACE_CONFIG_FILE"


EVENTS = [
    *invocation("request-1", "[ERROR] to bob@example.com", {"level": "info"}, "who knows"),
    event("extension", "theirs"),
    event("extension", '{"type":"tailrace.log","message":"ours"}'),
]


def explained(events: Path, *arguments: str | Path, env: dict[str, str] | None = None) -> dict[str, Any]:
    result = tailrace("explain", events, *arguments, "--json", env=env or PLAIN)
    assert result.returncode == 0, result.stderr
    assert SECRET not in result.stdout + result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.json"
    path.write_text(json.dumps(EVENTS, separators=(",", ":")))
    return path


def test_what_becomes_of_each_event_and_why(file: Path, events: Path) -> None:
    found = explained(events, "--config", file)
    main, stand_in = (place["name"] for place in found["destinations"])
    assert [event["destinations"][main] for event in found["events"]] == [
        "filtered: types",
        "sent",
        "filtered: min_level",
        "sent",
        "filtered: types",
        "filtered: types",
        "filtered: types",
    ]
    second = found["events"][1]
    assert second == {
        "seq": 2,
        "type": "function",
        "requestId": "request-1",
        "severity": "error",
        "masked": {"email": 1},
        "destinations": {
            main: "sent",
            stand_in: "filtered: it stands in for another destination, which is up",
        },
    }
    (request,) = found["destinations"][0]["requests"]
    assert (request["method"], request["url"]) == ("POST", "https://logs.example.com/in?key=***")
    headers = dict(request["headers"])
    assert headers["Authorization"] == headers["X-Key"] == "***"
    assert headers["Content-Type"] == "application/x-ndjson"
    assert headers["Content-Length"] == str(request["bytes"])
    records = [json.loads(line)["record"] for line in request["body"].splitlines()]
    assert records == ["[ERROR] to ***", "who knows"]


def test_own_lines_are_named_as_such(events: Path) -> None:
    found = explained(events, "--env", "TAILRACE_DESTINATIONS=file:///tmp/x", "--env", "TAILRACE_TYPES=extension")
    assert [event["destinations"]["file:///tmp/x"] for event in found["events"]][-2:] == [
        "sent",
        "filtered: the agent's own line",
    ]


def test_bodies_are_shown_before_compression_and_s3_requests_signed(events: Path) -> None:
    found = explained(events, "--env", "TAILRACE_DESTINATIONS=s3://telemetry/shop?compress=gzip")
    ((request,),) = ([*place["requests"]] for place in found["destinations"])
    assert request["url"].startswith("https://telemetry.s3.us-east-1.amazonaws.com/shop/functionName%3Dfunction/year")
    assert dict(request["headers"])["authorization"] == "***"
    assert request["bytes"] < request["bytesBeforeCompression"] == len(request["body"].encode())
    assert len(request["body"].splitlines()) == 5
    wire = base64.b64decode(request["wire"])
    assert (len(wire), gzip.decompress(wire).decode()) == (request["bytes"], request["body"])
    assert request["object"].startswith("s3://telemetry/shop/functionName=function/year=2026/")
    assert request["object"].endswith(".ndjson.gz")


def test_the_object_is_named_behind_an_endpoint_of_its_own_too(events: Path) -> None:
    url = "s3://my.bucket/pre?endpoint=http://localhost:9000/base"
    found = explained(events, "--env", f"TAILRACE_DESTINATIONS={url}")
    ((request,),) = ([*place["requests"]] for place in found["destinations"])
    assert request["url"].startswith("http://localhost:9000/base/my.bucket/pre/functionName%3Dfunction/")
    assert request["object"].startswith("s3://my.bucket/pre/functionName=function/")
    assert request["wire"] is None


def test_events_may_come_one_a_line_and_a_broken_end_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(map(json.dumps, EVENTS[:2])) + '\n{"type":"func')
    found = explained(path, "--env", "TAILRACE_DESTINATIONS=file:///tmp/x")
    assert len(found["events"]) == 2
    assert found["unparsableBytes"] == len('{"type":"func')
    assert found["ledger"]["file:///tmp/x"]["dropped"] == {"unparsable": 1}


def test_a_damaged_line_is_named_and_costs_none_of_those_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    good = json.dumps(event("function", "fine"))
    path.write_text("\n".join([good, '{"type":"func', good, "", "nonsense } {", good + " x", good, ""]))
    found = explained(path, "--env", "TAILRACE_DESTINATIONS=file:///tmp/x")
    assert len(found["events"]) == 4
    assert found["damagedLines"] == [2, 5, 6]
    row = found["ledger"]["file:///tmp/x"]
    assert (row["received"], row["delivered"], row["dropped"]) == (7, 4, {"unparsable": 3})
    people = tailrace("explain", path, "--env", "TAILRACE_DESTINATIONS=file:///tmp/x", env=PLAIN).stdout
    assert "line 5 is not JSON: one record, dropped (unparsable)\n" in people


def test_the_ledger_as_a_record_is_one_more_request(events: Path) -> None:
    options = ["--env", "TAILRACE_DESTINATIONS=https://h/x", "--env", "TAILRACE_LEDGER=record,metrics"]
    ((first, last),) = ([*place["requests"]] for place in explained(events, *options)["destinations"])
    assert len(first["body"].splitlines()) == 5
    (record,) = map(json.loads, last["body"].splitlines())
    assert record["type"] == "tailrace.ledger"
    assert record["record"]["https://h/x"]["delivered"] == 5


def test_nothing_is_dropped_for_want_of_room(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text((json.dumps(event("function", "x" * 100)) + "\n") * 2000)
    options = ["--env", "TAILRACE_DESTINATIONS=https://h/x", "--env", "TAILRACE_QUEUE_MAX_BYTES=65536"]
    row = explained(path, *options)["ledger"]["https://h/x"]
    assert (row["received"], row["delivered"], row["dropped"]) == (2000, 2000, {})


def test_signing_is_shown_as_the_credentials_are_that_are_there(events: Path) -> None:
    url = ["--env", "TAILRACE_DESTINATIONS=s3://telemetry"]
    made_up = explained(events, *url)
    assert "no AWS credentials are set here" in made_up["notes"][0]
    own = explained(events, *url, env={**PLAIN, "AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "x"})
    assert own["notes"] == explained(events, "--env", "TAILRACE_DESTINATIONS=https://h/x")["notes"] == []
    names = [dict(found["destinations"][0]["requests"][0]["headers"]) for found in (made_up, own)]
    assert ["x-amz-security-token" in headers for headers in names] == [True, False]


def test_for_people_the_request_stands_there_as_it_would_be_sent(file: Path, events: Path) -> None:
    result = tailrace("explain", "-", "--config", file, env=PLAIN, stdin=events.read_text())
    assert result.returncode == 0, result.stderr
    assert SECRET not in result.stdout
    assert "event 2  function  request request-1, severity error, masked 1 email\n" in result.stdout
    assert "\n\nPOST https://logs.example.com/in?key=***\nHost: logs.example.com\n" in result.stdout
    assert '"record":"[ERROR] to ***"' in result.stdout


def test_what_cannot_be_read_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    for name in ("absent", "empty", "."):
        result = tailrace("explain", tmp_path / name, env=PLAIN)
        assert result.returncode == 2
        assert str(tmp_path) in result.stderr


def test_it_is_byte_for_byte_what_the_agent_sends(
    opt: Path, api: FakeLambdaApi, tmp_path: Path, file: Path, events: Path
) -> None:
    with HttpSink() as sink:
        text = f"""
        mask = ["email"]
        [[destinations]]
        url = "http://127.0.0.1:{sink.port}/in?tailrace-compress=gzip"
        min_level = "warn"
        """
        file.write_text(text)
        found = explained(events, "--config", file, "--env", "AWS_LAMBDA_FUNCTION_NAME=billing")
        environ = {"TAILRACE_CONFIG_FILE": str(file), "TAILRACE_SPOOL_DIR": str(tmp_path / "spool")}
        with AgentProcess(opt, api.address, environ) as agent:
            api.invoke("request-1")
            api.post_telemetry(EVENTS)
            api.wait_for_next(2)
            api.shutdown()
            assert agent.exit_code() == 0
    ((request,),) = ([*place["requests"]] for place in found["destinations"])
    sent = b"".join(gzip.decompress(body) for _, _, body in sink.requests)
    assert sent == request["body"].encode()
    shown = {name.lower(): value for name, value in request["headers"]}
    assert {path for path, _, _ in sink.requests} == {"/in"}
    assert all(set(headers) >= set(shown) for _, headers, _ in sink.requests)


def test_each_pattern_that_may_miss_something_in_long_lines_is_named_with_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "tailrace.toml"
    file.write_text(
        'destinations = [{ url = "stdout:", match = "[a-z]+=x", exclude = "x[0-9]+;" }]\n'
        "[[mask]]\nname = 'fine'\npattern = 'token-[A-Za-z0-9]{20,}-end'\n"
        "[[mask]]\nname = 'brackets'\npattern = '\\[[^]]*\\]'\n"
    )
    warnings = checked(file, env=PLAIN)["warnings"]
    said = [warning.partition(";")[0] for warning in warnings if "may not be found" in warning]
    limit = "a match of more than 1581 characters may not be found in a line of more than 3162"
    assert said == [
        f"mask brackets ({file}: mask, second entry): {limit}",
        f"{file}: destinations, first entry, match: {limit}",
    ]
