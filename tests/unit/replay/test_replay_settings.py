"""Times on the command line, and destinations from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailrace.cli.agent_view import HERE
from tailrace.clock import ManualClock
from tailrace.config.places import DEFAULT_PLACES
from tailrace.errors import UsageError
from tailrace.replay.selection import moment_ms
from tailrace.replay.targets import PLACES, Targets, read_settings

NOW_S = 1_795_210_200.0  # 2026-11-20T21:30:00Z


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-20T21:30:00Z", 1_795_210_200_000),
        ("2026-11-20T21:30:00.250Z", 1_795_210_200_250),
        ("2026-11-20T22:30:00+01:00", 1_795_210_200_000),
        ("2026-11-20T21:30:00", 1_795_210_200_000),
        ("2026-11-20", 1_795_132_800_000),
        ("90m", 1_795_204_800_000),
        ("24h", 1_795_123_800_000),
        ("7d", 1_794_605_400_000),
        ("10s", 1_795_210_190_000),
    ],
)
def test_times(text: str, ms: int) -> None:
    assert moment_ms(text, "--since", NOW_S) == ms


@pytest.mark.parametrize("text", ["tomorrow", "", "7w", "-3h", "2026-13-01"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        moment_ms(text, "--since", NOW_S)
    assert caught.value.setting == "--since"
    assert "90m, 24h or 7d" in caught.value.remedy


def targets(to: str | None = None, **environ: str) -> Targets:
    return Targets(environ, ManualClock(), to)


def test_each_goes_to_the_destination_of_its_name() -> None:
    found = targets(TAILRACE_DESTINATIONS="http://user:pw@logs.example/in?key=secret file:///out")
    target = found.of("http://***@logs.example/in?key=***")
    assert target is not None
    assert target.name == "http://***@logs.example/in?key=***"
    assert found.of("http://attacker.example/") is None


def test_one_for_all_has_the_headers_of_who_replays() -> None:
    target = targets("https://new.example/in", TAILRACE_HTTP_HEADERS="X-Key: k", TAILRACE_DESTINATIONS="foo://bad").of(
        "x"
    )
    assert target is not None
    assert target.name == "https://new.example/in"


def test_destinations_and_headers_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tailrace.toml"
    file.write_text('dead_letter = "s3://logs/dead"\n[[destinations]]\nurl = "http://logs.example/in"\n')
    environ = {"TAILRACE_CONFIG_FILE": str(file)}
    assert read_settings(environ).dead_letter == "s3://logs/dead"
    assert targets(**environ).of("http://logs.example/in") is not None
    file.write_text("destinations = 7")
    with pytest.raises(UsageError, match="destinations"):
        targets(**environ)
    file.write_text("queue_max_byte = 7")
    with pytest.raises(UsageError, match="queue_max_byte"):
        targets("http://logs.example/in", **environ)


def test_a_file_is_found_where_config_check_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (*DEFAULT_PLACES, HERE) == PLACES
    assert not Targets.are_named({})
    (tmp_path / "tailrace.toml").write_text("[emulator.policy]\n")
    assert not Targets.are_named({})
    (tmp_path / "tailrace.toml").write_text(
        'dead_letter = "s3://logs/dead"\n[[destinations]]\nurl = "http://a.example/in"\n'
    )
    assert Targets.are_named({})
    assert read_settings({}).dead_letter == "s3://logs/dead"
    assert targets().of("http://a.example/in") is not None
    (tmp_path / "tailrace.toml").write_text("no toml")
    with pytest.raises(UsageError, match="it is not TOML"):
        targets("http://a.example/in")


def test_with_nothing_named_there_is_nowhere_to_send_to() -> None:
    with pytest.raises(UsageError, match="it is not set, so there is nowhere to send to"):
        targets()


@pytest.mark.parametrize(
    ("to", "environ", "setting"),
    [
        ("foo://x", {}, "--to"),
        ("http://a http://b", {}, "--to"),
        ("s3://bucket", {}, "--to"),
        (None, {"TAILRACE_DESTINATIONS": "file:///a foo://x"}, "TAILRACE_DESTINATIONS, second entry"),
        ("http://a", {"TAILRACE_HTTP_HEADERS": "secret"}, "TAILRACE_HTTP_HEADERS, first line"),
    ],
)
def test_settings_that_cannot_be_used_are_told_before_anything_is_sent(
    to: str | None, environ: dict[str, str], setting: str
) -> None:
    with pytest.raises(UsageError) as caught:
        targets(to, **environ)
    assert caught.value.setting == setting
    assert "secret" not in str(caught.value)
