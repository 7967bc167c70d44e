"""The isolation as users of the commands and of the test environment meet it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import run_json, tailrace, write_function
from support.namespaces import ISOLATIONS, SHOWN_IN_TMP, needs_namespaces
from tailrace.errors import ConfigError, UsageError
from tailrace.testing import LambdaEnvironment

FUNCTION = "import os\ndef handler(event, context):\n    return [os.getcwd(), sorted(os.listdir('/tmp'))[:1]]\n"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return write_function(tmp_path / "shop", FUNCTION)


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_the_headline_and_the_document_say_what_is_in_force(code: Path, isolation: str) -> None:
    told = tailrace("run", "app.handler", "--code", code, "--isolation", isolation)
    assert f"·  {isolation} isolation  ·" in told.stdout.splitlines()[0]
    document = run_json("app.handler", "--code", code, "--isolation", isolation)
    assert document["environment"]["isolation"] == isolation
    folder = document["invocations"][0]["response"][0]
    assert folder == ("/var/task" if isolation == "namespace" else str(code))


@needs_namespaces
def test_without_a_word_it_is_the_best_that_is_allowed(code: Path) -> None:
    document = run_json("app.handler", "--code", code)
    assert document["environment"]["isolation"] == "namespace"
    assert document["invocations"][0]["response"] == ["/var/task", SHOWN_IN_TMP[:1]]


@needs_namespaces
def test_a_destination_that_would_vanish_is_wrong_usage_and_the_mount_mends_it(code: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--code", str(code), "--extension", "tailrace", "--env", f"TAILRACE_DESTINATIONS=file://{out}"]
    refused = tailrace("run", "app.handler", "--isolation", "namespace", *words)
    assert refused.returncode == 2
    assert f"add --mount {out}" in refused.stderr
    out.mkdir()
    document = run_json("app.handler", "--isolation", "namespace", "--mount", out, *words)
    assert document["ledger"][f"file://{out}"]["delivered"] > 0
    assert list(out.rglob("*.ndjson"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--mount", "/no/such/place"], "--mount: /no/such/place does not exist"),
        (["--mount", "/etc:/opt/etc", "--isolation", "process"], "that takes --isolation namespace"),
        (["--tmp-size", "100"], "512<=x<=10240"),
        (["--isolation", "jail"], "'auto', 'process', 'namespace'"),
    ],
)
def test_wrong_usage_is_told_with_what_is_allowed(code: Path, words: list[str], told: str) -> None:
    result = tailrace("run", "app.handler", "--code", code, *words)
    assert result.returncode == 2
    assert told in " ".join(result.stderr.split())


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_test_environment_says_it_as_well(code: Path, isolation: str) -> None:
    with LambdaEnvironment("app.handler", code=code, isolation=isolation) as env:
        assert env.isolation == isolation
        assert env.invoke().payload[0] == env.config.task_root


def test_a_test_environment_names_its_own_keywords(code: Path) -> None:
    with pytest.raises(
        ConfigError, match="isolation: 'jail' is no level of isolation; one of auto, process, namespace"
    ):
        LambdaEnvironment("app.handler", code=code, isolation="jail")
    with pytest.raises(ConfigError, match="tmp_mb: 100 is out of range; 512 to 10240"):
        LambdaEnvironment("app.handler", code=code, tmp_mb=100)
    with pytest.raises(UsageError, match="mounts: /no/such/place does not exist"):
        LambdaEnvironment("app.handler", code=code, mounts=["/no/such/place"]).start()
