"""From a back end that refuses, through the dead letters, to one that is healthy again: every record once."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.commands import LIMIT_S, TAILRACE, account, run_json, tailrace, variables, write_function
from support.dead_letters import letter, write_letters
from support.gated_sink import GatedSink
from support.moto_s3 import MotoS3, start_moto_s3

FUNCTION = """
calls = 0
def handler(event, context):
    global calls
    calls += 1
    print(f"line of call {calls}")
    return calls
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[MotoS3]:
    with start_moto_s3() as server:
        yield server


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of who replays."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TAILRACE_", "S3_"))}
    return {**own, "XDG_STATE_HOME": str(tmp_path / "state")}


def lines_in(sink: GatedSink) -> list[dict[str, Any]]:
    return [json.loads(line) for body in sink.bodies for line in body.splitlines()]


def run_agent(
    tmp_path: Path, settings: Mapping[str, str], invocations: int = 3
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The row of the ledger, and the document."""
    code = write_function(tmp_path / "shop", FUNCTION)
    words = ("--extension", "tailrace", "--invocations", str(invocations), "--timeout", "30")
    document = run_json("app.handler", "--code", code, *words, *variables(settings))
    (row,) = (row for row in document["ledger"].values() if isinstance(row, dict))
    assert row["received"] == account(row)
    assert row["held"] == 0
    return row, document


def replay(*arguments: str | Path, env: Mapping[str, str], exit_code: int = 0) -> dict[str, Any]:
    result = tailrace("replay", *arguments, "--json", env=env)
    assert result.returncode == exit_code, result.stdout + result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_what_is_refused_lies_in_a_folder_and_goes_to_the_healthy_back_end_once(
    tmp_path: Path, env: dict[str, str]
) -> None:
    status = [404]
    with GatedSink(lambda body: status[0]) as sink:
        settings = {"TAILRACE_DESTINATIONS": sink.url, "TAILRACE_DEAD_LETTER": f"file://{tmp_path}/dead"}
        row, document = run_agent(tmp_path, settings)
        assert row["deadLettered"] == row["received"] > 0
        refused, sink.bodies[:] = lines_in(sink), []
        status[0] = 200
        env["TAILRACE_DESTINATIONS"] = sink.url

        listed = replay(tmp_path / "dead", "--list", env=env)
        assert sum(one["records"] for one in listed["envelopes"]) == row["received"]
        assert {(one["reason"], one["error"], one["attempts"]) for one in listed["envelopes"]} == {
            ("rejected", "status 404", 1)
        }
        ids = {invocation["requestId"] for invocation in document["invocations"]}
        assert ids == {request for one in listed["envelopes"] for request in one["requestIds"]}
        assert sink.bodies == []

        first = replay(tmp_path / "dead", env=env)
        assert first["deliveredRecords"] == row["received"]
        assert sorted(line["seq"] for line in lines_in(sink)) == list(range(1, row["received"] + 1))
        assert lines_in(sink) == refused
        assert [line["record"] for line in lines_in(sink) if line["type"] == "function"] == [
            f"line of call {n}" for n in (1, 2, 3)
        ]
        second = replay(tmp_path / "dead", env=env)
        assert (second["deliveredRecords"], {one["status"] for one in second["envelopes"]}) == (0, {"confirmed"})
        assert lines_in(sink) == refused


def test_what_is_refused_lies_in_a_bucket_and_goes_to_another_place(
    tmp_path: Path, s3: MotoS3, env: dict[str, str]
) -> None:
    with GatedSink(lambda body: 404) as sink:
        settings = {
            "TAILRACE_DESTINATIONS": sink.url,
            "TAILRACE_DEAD_LETTER": f"s3://{s3.bucket}/dead?compress=gzip",
            **s3.environ(),
        }
        row, _ = run_agent(tmp_path, settings)
    assert row["deadLettered"] == row["received"] > 0
    (key, *_) = s3.keys("dead/")
    assert key.startswith("dead/functionName=shop/year=")
    assert "-dead-letter-00000001.ndjson.gz" in key
    envelope = json.loads(gzip.decompress(s3.read(key)).splitlines()[0])
    assert (envelope["type"], envelope["version"], envelope["destination"]) == ("tailrace.deadLetter", 1, sink.url)

    env.update(s3.environ())
    words = (f"s3://{s3.bucket}/dead", "--to", f"s3://{s3.bucket}/healed")
    assert replay(*words, "--dry-run", env=env)["envelopes"][0]["status"] == "pending"
    assert s3.keys("healed/") == []
    assert replay(*words, env=env)["deliveredRecords"] == row["received"]
    assert sorted(line["seq"] for line in s3.lines("healed/")) == list(range(1, row["received"] + 1))
    keys = s3.keys("healed/")
    assert replay(*words, "--again", env=env)["deliveredRecords"] == row["received"]
    assert s3.keys("healed/") == keys  # the same objects, not more


@pytest.mark.parametrize("seed", range(3))
def test_a_moody_back_end_and_the_dead_letters_have_each_record_once_and_a_replay_brings_them_together(
    tmp_path: Path, env: dict[str, str], seed: int
) -> None:
    draw = random.Random(seed)
    accepted: list[int] = []
    moods = [200, 200, 503, 413, 400, 404, 429]

    def moody(body: bytes) -> int:
        status = draw.choice(moods) if len(sink.bodies) > 1 else 404
        accepted.extend(json.loads(line)["seq"] for line in body.splitlines() if status == 200)
        return status

    with GatedSink(moody) as sink:
        settings = {"TAILRACE_DESTINATIONS": sink.url, "TAILRACE_DEAD_LETTER": f"file://{tmp_path}/dead"}
        row, _ = run_agent(tmp_path, settings, invocations=10)
        dead = [json.loads(line)["seq"] for one in envelopes_in(tmp_path / "dead") for line in one["records"]]
        assert (len(accepted), len(dead), row["dropped"]) == (row["delivered"], row["deadLettered"], {})
        assert sorted(accepted + dead) == list(range(1, row["received"] + 1))
        assert dead
        env["TAILRACE_DESTINATIONS"] = sink.url
        for _ in range(20):
            moods += [200, 200]  # it gets better each time
            if tailrace("replay", tmp_path / "dead", env=env).returncode == 0:
                break
        assert sorted(accepted) == list(range(1, row["received"] + 1))


def test_what_was_meant_for_one_of_two_that_differ_in_a_secret_is_sent_to_neither_until_one_is_named(
    tmp_path: Path, env: dict[str, str]
) -> None:
    status = [404]
    with GatedSink(lambda body: status[0]) as sink:
        first, second = f"{sink.url}?tenant=A", f"{sink.url}?tenant=B"
        masked = f"{sink.url}?tenant=***"
        code = write_function(tmp_path / "shop", FUNCTION)
        settings = {"TAILRACE_DESTINATIONS": f"{first} {second}", "TAILRACE_DEAD_LETTER": f"file://{tmp_path}/dead"}
        run_json("app.handler", "--code", code, "--extension", "tailrace", "--timeout", "30", *variables(settings))
        names = {(one["destination"], one["destinationsAlike"]) for one in envelopes_in(tmp_path / "dead")}
        assert names == {(masked, 2), (f"{masked} #2", 2)}
        status[0], sink.bodies[:] = 200, []
        for urls in (second, f"{second} {first}"):
            told = replay(tmp_path / "dead", env={**env, "TAILRACE_DESTINATIONS": urls}, exit_code=1)
            assert {one["status"] for one in told["envelopes"]} == {"noTarget"}
        assert sink.bodies == []
        replay(tmp_path / "dead", "--destination", masked, "--to", first, env=env)
        replay(tmp_path / "dead", "--destination", f"{masked} #2", "--to", second, env=env)
        assert len(lines_in(sink)) == sum(one["recordCount"] for one in envelopes_in(tmp_path / "dead"))
        listed = replay(tmp_path / "dead", "--list", env=env)
        assert {one["status"] for one in listed["envelopes"]} == {"confirmed"}


def test_one_poisoned_record_is_dead_lettered_and_the_others_are_delivered(tmp_path: Path) -> None:
    with GatedSink(lambda body: 400 if b"line of call 2" in body else 200) as sink:
        settings = {"TAILRACE_DESTINATIONS": sink.url, "TAILRACE_DEAD_LETTER": f"file://{tmp_path}/dead"}
        row, _ = run_agent(tmp_path, settings)
    assert (row["deadLettered"], row["delivered"]) == (1, row["received"] - 1)
    (envelope,) = envelopes_in(tmp_path / "dead")
    (record,) = (json.loads(line) for line in envelope["records"])
    assert record["record"] == "line of call 2"


def test_what_a_dead_back_end_leaves_at_the_end_is_dead_lettered(tmp_path: Path) -> None:
    with GatedSink() as sink:
        url = sink.url
    settings = {"TAILRACE_DESTINATIONS": url, "TAILRACE_DEAD_LETTER": f"file://{tmp_path}/dead"}
    row, _ = run_agent(tmp_path, settings)
    assert row["deadLettered"] == row["received"] > 0
    assert row["dropped"] == {}
    assert {(one["reason"], one["error"].split(" ")[0]) for one in envelopes_in(tmp_path / "dead")} == {
        ("shutdown", "connection")
    }


def test_a_dead_letter_destination_that_is_dead_itself_costs_the_function_nothing_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "dead").write_text("a file where a folder should be")
    with GatedSink(lambda body: 404) as sink:
        settings = {"TAILRACE_DESTINATIONS": sink.url, "TAILRACE_DEAD_LETTER": f"file://{tmp_path}/dead"}
        row, document = run_agent(tmp_path, settings)
    assert row["deadLettered"] == 0
    assert sum(row["dropped"].values()) == row["received"]
    assert all(reason.startswith("rejected, dead_letter_") for reason in row["dropped"])
    assert {invocation["status"] for invocation in document["invocations"]} == {"success"}


def test_a_dead_letter_destination_that_never_answers_is_waited_for_only_at_the_end_and_not_long(
    tmp_path: Path,
) -> None:
    with GatedSink(lambda body: 404) as sink, socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {
            "TAILRACE_DESTINATIONS": sink.url,
            "TAILRACE_DEAD_LETTER": "s3://logs/dead",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "AWS_REGION": "eu-west-1",
        }
        row, document = run_agent(tmp_path, settings)
    assert row["dropped"] == {"rejected, dead_letter_shutdown": row["received"]}
    assert {invocation["status"] for invocation in document["invocations"]} == {"success"}
    # a request to a dead end takes ten seconds: nobody waited for one
    assert sum(invocation["durationMs"] for invocation in document["invocations"]) < 10_000


def test_a_dead_letter_setting_that_cannot_be_used_is_told_before_anything_runs(tmp_path: Path) -> None:
    code = write_function(tmp_path / "shop", FUNCTION)
    settings = {"TAILRACE_DESTINATIONS": "file:///tmp/x", "TAILRACE_DEAD_LETTER": "http://logs.example/dead"}
    result = tailrace("run", "app.handler", "--code", code, "--extension", "tailrace", *variables(settings))
    assert result.returncode == 2
    assert 'TAILRACE_DEAD_LETTER: unknown scheme "http" in "http://logs.example/dead"' in result.stderr


def envelopes_in(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.rglob("*-dead-letter-*.ndjson"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def many_letters(folder: Path, n: int) -> Path:
    for index in range(n):
        write_letters(folder / f"{index:04}.ndjson", letter(index * 3 + 1, index * 3 + 3))
    return folder


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_an_interrupted_replay_goes_on_where_it_stopped(
    tmp_path: Path, env: dict[str, str], number: signal.Signals, exit_code: int
) -> None:
    folder = many_letters(tmp_path / "dead", 40)

    def shut_after_five(body: bytes) -> int:
        if len(sink.bodies) == 5:
            sink.close_gate()
        return 200

    with GatedSink(shut_after_five) as sink:
        process = subprocess.Popen(
            [TAILRACE, "replay", folder, "--to", sink.url], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        sink.wait_until(lambda sink: len(sink.bodies) == 6)
        process.send_signal(number)
        _, said = process.communicate(timeout=LIMIT_S)
        assert process.returncode == exit_code, said
        if number == signal.SIGINT:
            assert b"the same command goes on from there" in said
        sink.open_gate()
        done = replay(folder, "--to", sink.url, env=env)
        statuses = [one["status"] for one in done["envelopes"]]
        assert statuses == ["confirmed"] * 5 + ["delivered"] * 35
        # the request whose answer nobody heard went out once more, the same to the byte
        assert sink.bodies[5] == sink.bodies[6]
        assert [line["seq"] for line in lines_in(sink)] == [*range(1, 19), *range(16, 121)]


def test_records_on_standard_output_stand_there_alone(tmp_path: Path, env: dict[str, str]) -> None:
    folder = many_letters(tmp_path / "dead", 2)
    result = tailrace("replay", folder, "--to", "stdout:", env=env)
    assert [json.loads(line)["seq"] for line in result.stdout.splitlines()] == list(range(1, 7))
    assert "2 of 2 envelopes, 6 records, in 2 files" in result.stderr
    listed = replay(folder, "--list", env=env)
    assert {one["status"] for one in listed["envelopes"]} == {"confirmed"}


def test_a_piece_that_was_taken_and_never_noted_goes_out_again_as_it_was(tmp_path: Path, env: dict[str, str]) -> None:
    write_letters(tmp_path / "dead" / "a.ndjson", letter(1, 100))

    def refuse_one_and_kill_before_the_second_answer(body: bytes) -> int:
        if b'"seq":40}' in body:
            return 400
        taken.append(body)
        if len(taken) == 2:
            running[0].kill()
            running[0].wait()
        return 200

    taken: list[bytes] = []
    running: list[subprocess.Popen[bytes]] = []
    with GatedSink(refuse_one_and_kill_before_the_second_answer) as sink:
        words = (TAILRACE, "replay", tmp_path / "dead", "--to", sink.url)
        running.append(subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL))
        assert running[0].wait(LIMIT_S) == -signal.SIGKILL
        replay(tmp_path / "dead", "--to", sink.url, env=env, exit_code=1)
    assert taken[1] == taken[2]
    seqs = [json.loads(line)["seq"] for body in dict.fromkeys(taken) for line in body.splitlines()]
    assert sorted(seqs) == [seq for seq in range(1, 101) if seq != 40]


def test_bad_input_is_told_in_a_sentence_each(tmp_path: Path, env: dict[str, str]) -> None:
    folder = tmp_path / "dead"
    good = write_letters(folder / "a.ndjson", letter(1, 3), letter(4, 6))
    good.write_bytes(good.read_bytes()[:-40])
    (folder / "notes.txt").write_text("nothing of ours\n")
    (folder / "b.ndjson").write_text('{"type":"tailrace.deadLetter","version":9}\n')
    with GatedSink() as sink:
        result = tailrace("replay", folder, "--to", sink.url, env=env)
        assert [line["seq"] for line in lines_in(sink)] == [1, 2, 3]
    assert result.returncode == 1
    assert "1 of 1 envelope, 3 records, in 3 files, 1 of them without dead letters" in result.stdout
    assert result.stderr.splitlines() == [
        "tailrace: a.ndjson, line 2: the line is cut off or damaged",
        "tailrace: b.ndjson, line 1: its version is 9, and this Tailrace reads version 1",
    ]
    for words, sentence in (
        ((tmp_path / "none", "--list"), f"LOCATION: there is no {tmp_path}/none"),
        ((folder,), "TAILRACE_DESTINATIONS: it is not set, so there is nowhere to send to"),
        ((folder, "--list", "--since", "soon"), "--since: 'soon' is no time"),
        ((folder, "--list", "--dry-run"), "--list: it cannot stand with --dry-run"),
        ((), "LOCATION: it is missing, and TAILRACE_DEAD_LETTER is not set"),
    ):
        result = tailrace("replay", *words, env=env)
        assert (result.returncode, result.stderr.splitlines()[0]) == (2, f"tailrace: {sentence}")


def test_what_a_file_says_is_shown_without_steering_the_terminal_and_never_followed(
    tmp_path: Path, env: dict[str, str]
) -> None:
    with GatedSink() as sink:
        write_letters(tmp_path / "dead" / "a.ndjson", letter(1, 3, error="\x1b[2J", destination=sink.url))
        env["TAILRACE_DESTINATIONS"] = "http://127.0.0.1:9/in"
        result = tailrace("replay", tmp_path / "dead", "--list", env=env)
        assert "\x1b" not in result.stdout
        sent = replay(tmp_path / "dead", env=env, exit_code=1)
        assert [one["status"] for one in sent["envelopes"]] == ["noTarget"]
        assert sink.bodies == []
