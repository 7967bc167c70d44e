"""Policies from a file and from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailrace.emulator.deployment.policy_sources import apply_policy, read_policy
from tailrace.emulator.machine.policy import Policy
from tailrace.errors import ConfigError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_anything_the_defaults_hold() -> None:
    assert read_policy() == Policy()


def test_the_file_of_the_current_directory_is_read_and_an_assignment_comes_after_it() -> None:
    Path("tailrace.toml").write_text(
        'types = ["function"]\n\n[http_headers]\nX-A = "b"\n\n[[mask]]\nrule = "email"\n\n'
        "[emulator.policy]\ninit_timeout_ms = 300\nbill_init = false\n"
        "telemetry_retry_delays_ms = [1, 2]\n"
    )
    expected = Policy(init_timeout_ms=300, bill_init=False, telemetry_retry_delays_ms=(1, 2))
    assert read_policy() == expected
    assert read_policy(["init_timeout_ms=1", "init_timeout_ms = 2"]).init_timeout_ms == 2


def test_another_file_may_be_named_and_then_holds_alone(tmp_path: Path) -> None:
    Path("tailrace.toml").write_text("[emulator.policy]\nbill_init = false\n")
    other = tmp_path / "other.toml"
    other.write_text('[emulator.policy]\nhandled_error_status = "error"\n')
    assert read_policy(file=other) == Policy(handled_error_status="error")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[emulator.policy]\ninit_timeout = 1\n", "[emulator.policy] init_timeout: no such policy; did you mean"),
        ("[emulator.policy]\nbill_init = 1\n", "[emulator.policy] bill_init: 1 is not true or false"),
        ("[emulator]\npolicy = 3\n", "emulator.policy: 3 is not a table; write [emulator.policy]"),
        ("emulator = 3\n", "emulator: 3 is not a table; write [emulator]"),
        ("[emulator]\npolicies = 3\n", "[emulator] policies: no such key; there is [emulator.policy]"),
        (
            "[emulatr.policy]\nbill_init = false\n",
            'emulatr: no such key or table (did you mean "emulator"?); the emulator\'s',
        ),
        ("[[destination]]\nurl = 'stdout:'\n", 'destination: no such key or table (did you mean "destinations"?)'),
        (
            "quite_other = 1\n",
            "quite_other: no such key or table; the emulator's is [emulator.policy]; the agent's are",
        ),
        ("[emulator.policy\n", "is not TOML: Expected"),
        (b"\xff", "is not UTF-8 text"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_file_and_key(text: str | bytes, says: str) -> None:
    Path("tailrace.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        read_policy()
    assert str(caught.value).startswith("tailrace.toml: ")
    assert says in str(caught.value)


def test_a_named_file_that_cannot_be_read_is_told() -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read \(No such file or directory\)"):
        read_policy(file=Path("missing.toml"))


@pytest.mark.parametrize("assignment", ["bill_init", "=1", ""])
def test_what_is_no_assignment_is_told(assignment: str) -> None:
    with pytest.raises(ConfigError, match=f'--policy: "{assignment}" is no assignment; write NAME=VALUE'):
        read_policy([assignment])


def test_a_wrong_assignment_names_its_option() -> None:
    with pytest.raises(ConfigError, match="--policy bill_init: maybe is not true or false"):
        read_policy(["bill_init=maybe"])


def test_tests_give_values_of_their_own_kind() -> None:
    assert apply_policy({"bill_init": False, "init_timeout_ms": 5}) == Policy(bill_init=False, init_timeout_ms=5)
    with pytest.raises(ConfigError, match="policy bill_inti: no such policy; did you mean bill_init"):
        apply_policy({"bill_inti": False})
