from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.emulator.deployment.places import RUNTIME_FILES, as_seen, on_host

CODE = Path("/home/me/shop")
OPT = Path("/tmp/x/opt")


@pytest.mark.parametrize(
    ("seen", "here"),
    [
        ("/opt/start.sh", "/tmp/x/opt/start.sh"),
        ("/var/task/start.sh", "/home/me/shop/start.sh"),
        ("/opt", "/tmp/x/opt"),
        ("/usr/bin:/opt/bin:/var/task", "/usr/bin:/tmp/x/opt/bin:/home/me/shop"),
        ("--require=/opt/x.js --import /var/task/y.mjs", "--require=/tmp/x/opt/x.js --import /home/me/shop/y.mjs"),
        ("/optional", "/optional"),
        ("/srv/opt/x", "/srv/opt/x"),
        ("relative/opt/x", "relative/opt/x"),
        ("", ""),
    ],
)
def test_a_path_of_the_sandbox_and_the_same_here(seen: str, here: str) -> None:
    assert on_host(seen, CODE, OPT) == here
    assert as_seen(here, CODE, OPT) == seen


def test_without_layers_there_is_no_opt() -> None:
    assert on_host("/opt/x:/var/task/y", CODE, None) == "/opt/x:/home/me/shop/y"


def test_what_starts_a_managed_runtime_is_seen_where_lambda_has_it() -> None:
    assert as_seen(f"{RUNTIME_FILES}/bootstrap.py", CODE, None) == "/var/runtime/bootstrap.py"
    assert on_host("/var/runtime", CODE, OPT) == "/var/runtime"


def test_code_inside_the_folder_of_layers_is_told_apart() -> None:
    assert as_seen("/tmp/x/opt/code/a:/tmp/x/opt/b", OPT / "code", OPT) == "/var/task/a:/opt/b"


@given(st.lists(st.sampled_from(["/opt", "/opt/lib", "/var/task/a", "/usr/lib", "rel", "/var/taskx"])))
def test_lists_of_paths_come_back_unchanged(parts: list[str]) -> None:
    text = ":".join(parts)
    assert as_seen(on_host(text, CODE, OPT), CODE, OPT) == text
