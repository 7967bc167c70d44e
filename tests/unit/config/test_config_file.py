"""What a configuration file may say, what stands over what, and every slip at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.imports import modules_after
from tailrace.agent import start
from tailrace.config.file import KEYS, load_config_file
from tailrace.config.places import DEFAULT_PLACES, config_path, read_config
from tailrace.config.settings import SETTINGS, Settings, load_settings
from tailrace.destinations.registry import build_destinations

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Settings from the text of a file and variables."""

    def load(text: str | bytes, options: dict[str, str] | None = None, **environ: str) -> Settings:
        file = tmp_path / "tailrace.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_settings(environ, load_config_file(str(file), environ), options)

    return load


def said(settings: Settings) -> list[str]:
    """The problems, the file by its base name."""
    return [str(problem).replace(str(problem).partition("tailrace.toml")[0], "", 1) for problem in settings.problems]


def test_the_file_is_over_the_defaults_the_environment_over_the_file_the_command_line_over_all(load: Load) -> None:
    text = "end_wait_ms = 1\nsettle_ms = 2\nmargin_ms = 3"
    settings = load(text, {"TAILRACE_MARGIN_MS": "30"}, TAILRACE_SETTLE_MS="20", TAILRACE_MARGIN_MS="10")
    assert settings.problems == []
    assert (settings.end_wait_ms, settings.settle_ms, settings.margin_ms, settings.reply_wait_ms) == (1, 20, 30, 5)
    assert settings.source_of("end_wait_ms").endswith("tailrace.toml: end_wait_ms")
    assert settings.source_of("settle_ms") == "environment variable TAILRACE_SETTLE_MS"
    assert settings.source_of("margin_ms") == "option --env TAILRACE_MARGIN_MS"
    assert settings.source_of("reply_wait_ms") == "default"


def test_what_cannot_be_used_leaves_what_the_layer_below_says(load: Load) -> None:
    settings = load(
        'end_wait_ms = 1\nflush = "end"\ntypes = ["function"]',
        TAILRACE_END_WAIT_MS="soon",
        TAILRACE_FLUSH="never",
        TAILRACE_TYPES="all",
    )
    assert (settings.end_wait_ms, settings.flush.policy, settings.types) == (1, "end", ("function",))
    number, flush, types = map(str, settings.problems)
    assert number.startswith('TAILRACE_END_WAIT_MS: "soon" is not a whole number from 0 to 60000; 1 is used, from /')
    assert number.endswith("tailrace.toml: end_wait_ms")
    assert flush.endswith("; end is used")
    assert "function is used, from " in types


def test_every_plain_setting_may_stand_in_the_file(load: Load) -> None:
    settings = load(
        'types = ["extension", "platform"]\nflush = "periodic,500"\nspool_dir = "/tmp/${PART}"\n'
        'queue_max_bytes = 65_536\ndead_letter = "file:///tmp/$$dead"',
        PART="here",
    )
    assert settings.problems == []
    assert settings.types == ("platform", "extension")
    assert (settings.flush.policy, settings.flush.interval_ms) == ("periodic", 500)
    assert (settings.spool_dir, settings.queue_max_bytes) == ("/tmp/here", 65_536)
    assert settings.dead_letter == "file:///tmp/$dead"


def test_every_variable_of_ours_has_a_key() -> None:
    assert {f"TAILRACE_{key.upper()}" for key in KEYS} == set(SETTINGS) - {"TAILRACE_CONFIG_FILE"}


def test_all_slips_are_said_at_once_each_with_its_place(load: Load) -> None:
    settings = load(
        """
        typ = ["function"]
        end_wait_ms = -1
        settle_ms = 1.5
        listen_host = "127.0.0.1"
        flush = "sometimes"
        [http_headers]
        Host = "elsewhere"
        X-Key = 5
        [emulator.policy]
        init_timeout_ms = 1
        [[destinations]]
        name = "main"
        [[destinations]]
        url = "file:///tmp/a"
        min_level = "loud"
        types = ["functions"]
        queue_max_bytes = 1
        name = "a b"
        heads = 1
        match = [1]
        [[mask]]
        keys = ["a"]
        pattern = "b"
        """
    )
    assert said(settings) == [
        'tailrace.toml: typ: there is no such key (did you mean "types"?); known: ' + ", ".join(KEYS),
        "tailrace.toml: settle_ms: it is a number with decimals; allowed: a text, a whole number or a list of texts",
        "tailrace.toml: listen_host: it is needed before any file can be read; "
        "set TAILRACE_LISTEN_HOST in the environment",
        "tailrace.toml: http_headers, Host: the header Host cannot be set; the agent sets it for each request",
        'tailrace.toml: http_headers, X-Key: its value is a number; write { Name = "value" }',
        'tailrace.toml: destinations, second entry: unknown key "heads" (did you mean "headers"?); '
        "known: url, name, headers, types, min_level, match, exclude, queue_max_bytes, failover_for",
        "tailrace.toml: destinations, second entry, name: it holds more than a name; "
        "allowed: up to 60 letters, digits, - . and _",
        "tailrace.toml: destinations, second entry, queue_max_bytes: 1 is out of range; "
        "allowed: a whole number from 65536 to 1073741824",
        'tailrace.toml: destinations, second entry, types: unknown type "functions" (did you mean "function"?); '
        "known: platform, function, extension",
        'tailrace.toml: destinations, second entry, min_level: unknown level "loud"; '
        "known: trace, debug, info, warn, error, fatal",
        "tailrace.toml: destinations, second entry, match: it is a list with something else than texts in it; "
        "allowed: a text or a list of texts",
        "tailrace.toml: mask, first entry: it has none or several of rule, pattern and keys; write one of them",
        'tailrace.toml: end_wait_ms: "-1" is not a whole number from 0 to 60000; the default 500 is used',
        'tailrace.toml: flush: unknown flush policy "sometimes"; allowed: adaptive, end, continuous[,MS], '
        "periodic[,MS], with MS from 1 to 900000; adaptive is used",
    ]
    assert [table.url for table in settings.destination_tables] == ["", "file:///tmp/a"]


def test_destinations_are_urls_or_tables(load: Load) -> None:
    settings = load(
        """
        [[destinations]]
        url = "file:///tmp/a"
        [[destinations]]
        url = "https://x/${PLACE}"
        name = "x"
        headers = { Authorization = "Bearer ${TOKEN}" }
        types = "function"
        min_level = "WARN"
        match = "shop"
        exclude = ["a", "b"]
        queue_max_bytes = 65536
        failover_for = "y"
        """,
        PLACE="in",
        TOKEN="hunter2",
    )
    assert settings.problems == []
    plain, full = settings.destination_tables
    assert (plain.url, plain.filter, plain.label) == ("file:///tmp/a", None, None)
    assert (full.url, full.label, full.failover_for, full.queue_max_bytes) == ("https://x/in", "x", "y", 65536)
    assert full.headers.pairs == (("Authorization", "Bearer hunter2"),)
    assert full.filter is not None
    assert full.filter.to_object() == {
        "types": ["function"],
        "min_level": "warn",
        "match": ["shop"],
        "exclude": ["a", "b"],
    }
    assert "hunter2" not in repr(full)
    assert settings.all_types == ("platform", "function")


def test_the_environment_replaces_the_files_destinations(load: Load) -> None:
    assert load('destinations = "file:///a"', TAILRACE_DESTINATIONS="file:///b").destination_tables == []


def test_a_variable_that_is_not_set_costs_what_needs_it_and_is_named(load: Load) -> None:
    settings = load('destinations = ["https://x/${NOWHERE}", "file:///tmp/a"]\n[http_headers]\nX-Key = "${MISSING}"')
    bad, good = settings.destination_tables
    assert str(bad.trouble).partition("/tailrace.toml: ")[2] == (
        "destinations, first entry: in its url ${NOWHERE} is not set in the environment; set it, or write $${...}"
    )
    assert (good.url, good.trouble) == ("file:///tmp/a", None)
    assert settings.http_headers.pairs == ()
    assert said(settings) == [
        "tailrace.toml: http_headers, X-Key: ${MISSING} is not set in the environment; set it, or write $${...}",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("types = [", "it is not TOML: "),
        ("a = 1\na = 2", "it is not TOML: "),
        (b"\xff = 1", "it is not UTF-8 text"),
        ("a = " + "[" * 5000, "it is nested too deeply"),
    ],
)
def test_what_is_no_toml_is_said_once_and_the_environment_holds(load: Load, text: str | bytes, found: str) -> None:
    settings = load(text, TAILRACE_END_WAIT_MS="7")
    (problem,) = settings.problems
    assert found in str(problem)
    assert "\n" not in str(problem)
    assert settings.end_wait_ms == 7
    assert not settings.masks_unknown


@pytest.mark.parametrize(
    "text",
    ["mask = [", "masks = ['email']", "mask = 5", "mask_keys = 1.5", "[[mask]]", "[[mask]]\nkeys = 3"],
)
def test_where_a_mask_may_be_meant_and_cannot_be_read_it_is_known_to_be_unknown(load: Load, text: str) -> None:
    settings = load(text)
    assert settings.problems
    assert settings.masks_unknown


def test_masks_of_the_file_and_of_the_environment_add_up(load: Load) -> None:
    settings = load(
        'mask = ["email", { pattern = "x+", name = "xs", replacement = "" }, { keys = "pin" }]\nmask_keys = ["a", "b"]',
        TAILRACE_MASK="card,jwt",
        TAILRACE_MASK_KEYS="c d",
    )
    assert settings.problems == []
    assert [spec.to_object() for spec in settings.mask_specs] == [
        {"name": "email", "rule": "email", "replacement": "***"},
        {"name": "xs", "pattern": "x+", "replacement": ""},
        {"name": "mask-third", "keys": ["pin"], "replacement": "***"},
        {"name": "keys", "keys": ["a", "b"], "replacement": "***"},
        {"name": "card", "rule": "card", "replacement": "***"},
        {"name": "jwt", "rule": "jwt", "replacement": "***"},
        {"name": "keys", "keys": ["c", "d"], "replacement": "***"},
    ]


def test_the_file_is_the_one_that_is_named_or_the_first_that_is_there(tmp_path: Path) -> None:
    first, second = str(tmp_path / "a.toml"), str(tmp_path / "b.toml")
    assert config_path({}, (first, second)) is None
    assert read_config({}, (first, second)) is None
    Path(second).write_text("")
    assert config_path({}, (first, second)) == second
    Path(first).write_text("end_wait_ms = 9")
    assert config_path({"TAILRACE_CONFIG_FILE": " "}, (first, second)) == first
    assert config_path({"TAILRACE_CONFIG_FILE": second}, (first,)) == second


def test_the_fast_start_looks_in_the_same_places() -> None:
    assert start.CONFIG_PLACES == DEFAULT_PLACES


@pytest.mark.parametrize("name", ["absent.toml", "", "nul\0l"])
def test_a_named_file_that_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    path = f"{tmp_path}/{name}"
    settings = load_settings({}, read_config({"TAILRACE_CONFIG_FILE": path}))
    (problem,) = settings.problems
    assert problem.setting == "TAILRACE_CONFIG_FILE"
    assert "cannot be read" in problem.found


def test_without_a_file_nothing_that_reads_one_is_loaded() -> None:
    code = (
        "from tailrace.config.places import read_config\n"
        "from tailrace.config.settings import load_settings\n"
        "load_settings({}, read_config({}, ['/no/such/file']))"
    )
    loaded = modules_after(code)
    assert "tailrace.config.places" in loaded
    assert not loaded & {
        "tailrace.config.toml",
        "tailrace.config.file",
        "tailrace.config.file_tables",
        "tailrace.config.tables",
    }


toml_values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["url", "name", "keys", "pattern", "types", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def as_toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" if not "\ud800" <= c <= "\udfff" else "?" for c in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {as_toml(part)}" for key, part in value.items()) + "}"
    return repr(value)


@given(st.dictionaries(st.sampled_from([*KEYS, "other"]), toml_values, max_size=4))
def test_whatever_stands_in_a_file_every_problem_is_one_sentence_and_nothing_breaks(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text("\n".join(f"{key} = {as_toml(value)}" for key, value in document.items()))
    settings = load_settings({}, load_config_file(str(file), {}))
    for problem in settings.problems:
        assert "\n" not in str(problem)
        assert len(str(problem)) < 1000


def test_whether_names_of_a_mask_count_in_longer_ones_is_said_by_a_flag(load: Load) -> None:
    text = 'mask = ["email", { keys = ["id"], compounds = false }, { rule = "credentials", compounds = true }]'
    settings = load(text)
    assert [spec.compounds for spec in settings.mask_specs] == [True, False, True]
    assert settings.mask_specs[1].to_object()["compounds"] is False
    assert settings.problems == []
    settings = load('mask = [{ keys = ["id"], compounds = "no" }, { pattern = "x", compounds = true }]')
    assert settings.masks_unknown
    assert [problem.found for problem in settings.problems] == ["it is a text", "a pattern has no names"]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("{}", "it has no url"),
        ('{ url = "" }', "its url is an empty text"),
        ('{ url = "  " }', "its url is empty"),
        ("{ url = 5 }", "its url is a number"),
        ('{ url = ["file:///a"] }', "its url is a list"),
        ("7", "it is a number"),
        ('"${NOWHERE}"', "in its url ${NOWHERE} is not set in the environment"),
    ],
)
def test_an_entry_without_a_usable_url_stays_so_that_what_it_misses_is_counted(
    load: Load, entry: str, found: str
) -> None:
    settings = load(f'destinations = [{entry}, "file:///b"]', S3_BUCKET_NAME="logs")
    assert settings.problems == []
    built = build_destinations({"S3_BUCKET_NAME": "logs"}, settings)
    assert [spec.name for spec in built.specs] == ["file:///b"]
    (problem,) = built.problems
    assert problem.setting.endswith("/tailrace.toml: destinations, first entry")
    assert problem.found == found
