"""Transcripts: what is written down can be read, gives away no secret, and gives the same run again."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.machine_world import START_NS, World, config
from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.faults.plan import FaultPlan
from tailrace.emulator.instruments import Instruments
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.policy import Policy
from tailrace.emulator.masking import Masker, is_sensitive
from tailrace.emulator.transcript import Recording, Transcript, open_transcript, read_transcript, replay
from tailrace.errors import ConfigError
from tailrace.protocol import runtime_api

SECRET = 'pa"ss-wörd-0123'
KEY = "AKIAEXAMPLEEXAMPLE99"
VARIABLES = {
    "DB_PASSWORD": SECRET,
    "STAGE": "test",
    "TAILRACE_DESTINATIONS": "https://user:hidden-in-url@example.com/logs?api_key=hidden-in-query&tailrace-format=array"
    " https://logs.example.com/in/hidden1in2a3token4of5a6path s3://bucket?region=eu-west-1",
    "TAILRACE_DEAD_LETTER": "s3:/user:hidden-by-slip@bucket",
    "TAILRACE_HTTP_HEADERS": "Authorization: Bearer abcdefgh12345678",
}


def recorded(*faults: Fault, with_plan: bool = True, **changes: Any) -> tuple[World, io.StringIO]:
    """A run of cold start, two invocations (the second one times out) and shutdown, and its transcript."""
    file = io.StringIO()
    instruments = Instruments(FaultPlan(faults, 7) if with_plan else None, Transcript(file))
    changes = {"environment": VARIABLES, "credentials": {"AWS_SECRET_ACCESS_KEY": KEY}} | changes
    world = World("a", **changes)
    world.machine = instruments.make_machine(config("a", **changes), "127.0.0.1:9001", {"X": "y"})  # type: ignore[assignment]
    world.deliver_well = True
    world.cold_start(subscribe=("a",))
    world.line(f"connecting with {SECRET} and {KEY}")
    world.feed(facts.LineWritten("ext:a", 1, f"sent Bearer abcdefgh12345678 {json.dumps(SECRET)}"))
    world.run_invocation()
    world.advance(2000)
    world.invoke(b"\xff\xfe")
    world.advance(4000)
    world.die_on_signals()
    world.shut_down()
    world.die_on_signals()
    return world, file


def read(file: io.StringIO, tmp_path: Path) -> Recording:
    path = tmp_path / "run.ndjson"
    path.write_text(file.getvalue(), encoding="utf-8")
    return read_transcript(path)


@pytest.mark.parametrize("with_plan", [True, False])
def test_the_facts_of_a_transcript_give_the_very_same_effects_again(tmp_path: Path, with_plan: bool) -> None:
    world, file = recorded(with_plan=with_plan)
    recording = read(file, tmp_path)

    assert replay(recording) is None
    assert sum(len(step.effects) for step in recording.steps) == len(world.effects)
    assert recording.start_ns == START_NS


def test_so_they_do_with_faults_by_dice_and_with_other_policies(tmp_path: Path) -> None:
    flaky = Fault("telemetry-5xx", probability=0.9, count="all")
    pause = Fault("subscriber-pause", process="a", at="invoke:2", duration_ms=300)
    policy = Policy(telemetry_retry_delays_ms=(1, 2), bill_init=False)
    _, file = recorded(flaky, pause, policy=policy)
    recording = read(file, tmp_path)

    assert replay(recording) is None
    assert recording.settings.plan == FaultPlan((flaky, pause), 7)
    assert recording.settings.config.policy == policy
    assert "PostTelemetryBadly" in file.getvalue()


ACTIONS = st.lists(
    st.sampled_from(
        ["invoke", "next", "a-next", "respond", "line", "die", "a-dies", "wait", "freeze", "thaw", "answer"]
    ),
    max_size=40,
)
FAULTS = st.lists(
    st.builds(
        lambda what, at, probability: (
            Fault(what, process="a", probability=probability, count="all")
            if what.startswith("telemetry")
            else Fault(what, process="a", at=at, probability=probability, count="all")
        ),
        st.sampled_from(["telemetry-5xx", "telemetry-reset", "kill", "subscriber-pause", "cut-connections"]),
        st.sampled_from(["ready", "invoke", "response", "next", "freeze", "thaw", "shutdown", "telemetry", "init"]),
        st.sampled_from([0.2, 0.6, 1.0]),
    ),
    max_size=4,
)


def act(world: World, action: str) -> None:
    if action == "invoke":
        world.invoke()
    elif action == "next":
        world.runtime_next()
    elif action == "a-next":
        world.extension_next("a")
    elif action == "respond":
        world.http("POST", runtime_api.response_path("10000000-0000-4000-8000-000000000001"), {}, b"1")
    elif action == "line":
        world.line("some text")
    elif action in ("die", "a-dies"):
        world.exit("runtime" if action == "die" else "ext:a", None, "SIGKILL")
    elif action == "wait":
        world.advance(700)
    elif action in ("freeze", "thaw"):
        world.feed(facts.FreezeRequested() if action == "freeze" else facts.ThawRequested())
    else:
        world.feed(facts.TelemetryAnswered(1, 200))


@settings(max_examples=150, deadline=None)
@given(FAULTS, ACTIONS, st.integers(0, 2**32))
def test_whatever_happens_and_goes_wrong_the_transcript_gives_it_again(
    faults: list[Fault], actions: list[str], seed: int
) -> None:
    file = io.StringIO()
    instruments = Instruments(FaultPlan(tuple(faults), seed), Transcript(file))
    world = World("a")
    world.machine = instruments.make_machine(config("a"), "127.0.0.1:9001", {})  # type: ignore[assignment]
    world.feed(facts.InitRequested())
    world.register("a", "INVOKE", "SHUTDOWN")
    world.subscribe("a", timeout_ms=25)
    for action in actions:
        act(world, action)
    world.shut_down()
    world.advance(10_000)
    world.die_on_signals()
    with tempfile.TemporaryDirectory() as folder:
        assert replay(read(file, Path(folder))) is None


def test_a_difference_is_told_with_the_line_of_its_fact(tmp_path: Path) -> None:
    _, file = recorded()
    recording = read(io.StringIO(file.getvalue().replace('"status": 202', '"status": 200', 1)), tmp_path)
    difference = replay(recording)

    assert difference is not None
    assert difference.recorded != difference.replayed
    line = file.getvalue().splitlines()[difference.line - 1]
    assert json.loads(line)["fact"] == type(difference.fact).__name__ == "HttpRequested"


def test_no_secret_stands_in_it() -> None:
    _, file = recorded()
    text = file.getvalue()
    plain = text.replace("\\", "").replace("u00f6", "ö")

    for secret in (SECRET.replace('"', ""), SECRET, KEY, "hidden", "abcdefgh12345678"):
        assert secret not in plain
    assert "ss-w" not in plain
    assert '"STAGE": "test"' in text
    assert "connecting with ****" in text
    assert "https://****" in text


def test_times_are_relative_and_every_line_is_one_object() -> None:
    _, file = recorded()
    head, *rest = [json.loads(line) for line in file.getvalue().splitlines()]

    assert head["start_ns"] == START_NS
    assert head["transcript"] == 1
    assert head["function"]["name"] == "billing"
    assert rest[0] == {"ns": 0, "fact": "InitRequested"}
    deadline = next(line for line in rest if line.get("timer") == "invoke-deadline")
    assert deadline["at_ns"] == deadline["ns"] + 3_000_000_000
    payload = next(line["invocation"] for line in rest if line.get("invocation", {}).get("payload") not in (None, "{}"))
    assert payload["payload"] == {"base64": "//4="}


class FullFile(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_file_that_takes_no_more_ends_the_transcript_and_not_the_run() -> None:
    transcript = Transcript(FullFile())
    machine = Instruments(None, transcript).make_machine(config(), "127.0.0.1:1", {})
    assert machine.handle(facts.InitRequested(), START_NS)
    assert machine.handle(facts.ShutdownRequested(), START_NS)
    assert transcript.failure == "No space left on device"


def test_a_transcript_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    _, file = recorded()
    whole = read(file, tmp_path)
    text = file.getvalue()
    cut = read(io.StringIO(text[: text.rindex('{"ns": ', 0, len(text) // 2) + 20]), tmp_path)

    assert 0 < len(cut.steps) < len(whole.steps)
    assert cut.steps[:-1] == whole.steps[: len(cut.steps) - 1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no transcript; its first line has the member transcript with 1"),
        ('{"a": 1}\n', "is no transcript"),
        ("nonsense\n", "line 1: is not JSON"),
        ("[]\n", "line 1: is no JSON object"),
    ],
)
def test_what_is_no_transcript_is_refused_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        read(io.StringIO(text), tmp_path)


def test_an_unknown_fact_is_refused_with_its_line(tmp_path: Path) -> None:
    _, file = recorded()
    head = file.getvalue().splitlines()[0]
    with pytest.raises(ConfigError, match=r"line 2: has no known fact: 'Nothing'"):
        read(io.StringIO(head + '\n{"ns": 0, "fact": "Nothing"}\n'), tmp_path)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("AWS_ACCESS_KEY_ID", True),
        ("API_KEY", True),
        ("github_token", True),
        ("MONKEY", False),
        ("KEYBOARD", False),
        ("STAGE", False),
        ("SENTRY_DSN", True),
        ("AUTHOR", False),
        ("PATH", False),
    ],
)
def test_names_tell_which_variables_are_secret(name: str, wanted: bool) -> None:
    assert is_sensitive(name) is wanted


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://h/in?key=abc&tailrace-format=array&flag", "https://h/in?key=***&tailrace-format=array&****"),
        ("s3://b/x?token=abc&region=SECRET&compress=gzip", "s3://b/x?token=***&region=******&compress=gzip"),
        ("http:/joe:pw@host/in", "http:/******@host/in"),
        ("https:\\\\joe:pw@h stdout:", "https:\\\\******@h stdout:"),
        ("https://joe:p?w@h/x", "https://*******@***"),
        ("https://h/in?user=joe@example.com", "https://h/in?user=***************"),
        ("https://h/a1b2c3d4e5f6a1b2c3d4e5f6/x", "https://h/************************/x"),
        ("file:///tmp/a1b2c3d4e5f6a1b2c3d4e5f6/x", "file:///tmp/a1b2c3d4e5f6a1b2c3d4e5f6/x"),
        ("arn:aws:s3:::x?y=z", "arn:aws:s3:::x?y=z"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_urls_keep_their_length_and_what_is_no_secret(text: str, masked: str) -> None:
    assert Masker().value("TAILRACE_DESTINATIONS", text) == masked
    assert Masker().value("TAILRACE_DESTINATIONS", masked) == masked


def test_only_its_owner_may_read_a_transcript(tmp_path: Path) -> None:
    path = tmp_path / "run.ndjson"
    path.write_text("old")
    path.chmod(0o644)
    open_transcript(path).close()
    assert (path.stat().st_mode & 0o777, path.read_text()) == (0o600, "")


def test_masking_keeps_the_number_of_bytes_and_masks_nothing_twice() -> None:
    masker = Masker({"TOKEN": "geheim-für-alle"})
    text = "a geheim-für-alle b"
    masked = masker.text(text)

    assert len(masked) == len(text.encode())
    assert masker.text(masked) == masked
    assert masker.value("TOKEN", "abc") == "***"
