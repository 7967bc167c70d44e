from __future__ import annotations

import pytest

from tailrace.config.settings import load_settings


def problems(**environ: str) -> list[str]:
    return [str(problem) for problem in load_settings(environ).problems]


def test_nothing_set_means_defaults_that_say_so() -> None:
    settings = load_settings({})
    assert settings.problems == []
    assert settings.types == ("platform", "function")
    assert settings.listen_host == "0.0.0.0"
    assert (settings.end_wait_ms, settings.settle_ms, settings.margin_ms) == (500, 2, 100)
    assert settings.queue_max_bytes == 8_388_608
    assert settings.source_of("types") == settings.source_of("end_wait_ms") == "default"


def test_values_are_taken_and_say_where_they_came_from() -> None:
    settings = load_settings(
        {
            "TAILRACE_TYPES": "extension, Function",
            "TAILRACE_LISTEN_HOST": "127.0.0.1",
            "TAILRACE_END_WAIT_MS": " 0 ",
            "TAILRACE_QUEUE_MAX_BYTES": "65536",
            "TAILRACE_HTTP_HEADERS": "A: b",
        }
    )
    assert settings.problems == []
    assert settings.types == ("function", "extension")
    assert (settings.listen_host, settings.end_wait_ms, settings.queue_max_bytes) == ("127.0.0.1", 0, 65_536)
    assert settings.http_headers.pairs == (("A", "b"),)
    assert settings.source_of("end_wait_ms") == "environment variable TAILRACE_END_WAIT_MS"
    assert settings.source_of("http_headers") == "environment variable TAILRACE_HTTP_HEADERS"
    assert settings.source_of("settle_ms") == "default"


def test_blank_values_count_as_not_set() -> None:
    settings = load_settings(dict.fromkeys(("TAILRACE_TYPES", "TAILRACE_END_WAIT_MS", "TAILRACE_HTTP_HEADERS"), " "))
    assert settings.problems == []
    assert settings.source_of("types") == "default"


@pytest.mark.parametrize("value", ["-1", "1.5", "60001", "5s", "٣", "9" * 5000, "1_0"])
def test_a_bad_number_is_named_and_the_default_used(value: str) -> None:
    settings = load_settings({"TAILRACE_END_WAIT_MS": value})
    assert settings.end_wait_ms == 500
    assert settings.source_of("end_wait_ms") == "default"
    (problem,) = settings.problems
    assert problem.setting == "TAILRACE_END_WAIT_MS"
    assert "is not a whole number from 0 to 60000; the default 500 is used" in str(problem)
    assert len(str(problem)) < 200


def test_an_unknown_type_is_named_with_what_was_meant() -> None:
    assert problems(TAILRACE_TYPES="platform,functoin") == [
        'TAILRACE_TYPES: unknown type "functoin" (did you mean "function"?); '
        "known: platform, function, extension; the default platform,function is used"
    ]


def test_a_bad_listen_host_is_named() -> None:
    assert problems(TAILRACE_LISTEN_HOST="a b\n") == [
        'TAILRACE_LISTEN_HOST: "a b" is neither an IPv4 address nor a host name; the default 0.0.0.0 is used'
    ]


def test_a_slip_in_a_variables_name_is_pointed_out() -> None:
    assert problems(TAILRACE_DESTINATION="stdout:") == [
        "TAILRACE_DESTINATION: there is no such setting; did you mean TAILRACE_DESTINATIONS?"
    ]
    assert problems(TAILRACE_SPOOL_DIR="/tmp", TAILRACE_SOMETHING_ELSE="1", HOME="/") == []
    assert problems(TAILRACE_DESTINATION="stdout:", TAILRACE_DESTINATIONS="stdout:") == []


def test_headers_are_parsed_in_order() -> None:
    settings = load_settings({"TAILRACE_HTTP_HEADERS": "X-A: one:two \r\n\n  \nAuthorization:Bearer x\tz\n"})
    assert settings.problems == []
    assert settings.http_headers.pairs == (("X-A", "one:two"), ("Authorization", "Bearer x\tz"))
    assert "authorization" in settings.http_headers


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Bearer hunter2", "no colon"),
        (": hunter2", "name"),
        ("My Key hunter2: x", "name"),
        ("X-Key:", "no value"),
        ("X-Key: hunter2\rHost: evil", "control"),
        ("X-Key: hunter2\x00", "control"),
        ("X-Key: hünter2hunter2", "non-ASCII"),
        (" folded: hunter2", "blank"),
        ("hOST: hunter2", "cannot be set"),
        ("Content-Length: 5", "cannot be set"),
        ("Content-Encoding: br", "cannot be set"),
        ("Transfer-Encoding: chunked", "cannot be set"),
        ("Connection: close", "cannot be set"),
        ("Idempotency-Key: same", "cannot be set"),
    ],
)
def test_a_bad_header_is_left_out_and_named_without_its_value(line: str, said: str) -> None:
    settings = load_settings({"TAILRACE_HTTP_HEADERS": f"A: b\n{line}\nC: d"})
    assert settings.http_headers.pairs == (("A", "b"), ("C", "d"))
    (problem,) = settings.problems
    assert problem.setting == "TAILRACE_HTTP_HEADERS, second line"
    assert said in problem.found
    assert "hunter2" not in str(problem)
    assert "hunter2" not in repr(settings.http_headers)


def test_reprs_show_no_values_of_headers() -> None:
    settings = load_settings({"TAILRACE_HTTP_HEADERS": "X-Key: hunter2"})
    assert repr(settings.http_headers) == "HttpHeaders(X-Key)"
    assert "hunter2" not in repr(settings)
