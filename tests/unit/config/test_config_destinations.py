from __future__ import annotations

import pytest

from tailrace.config.destinations import Destinations, load_destinations
from tailrace.config.wording import closest, ordinal
from tailrace.destinations.registry import SCHEMES


def load(text: str, **environ: str) -> Destinations:
    return load_destinations({"TAILRACE_DESTINATIONS": text, **environ}, SCHEMES)


def test_entries_are_separated_by_any_blanks_and_keep_their_order() -> None:
    chosen = load(" s3://logs/a?region=eu-west-1 \n\tfile:///tmp/x  stdout: ")
    assert chosen.problems == []
    assert [spec.name for spec in chosen.specs] == ["s3://logs/a?region=eu-west-1", "file:///tmp/x", "stdout:"]
    assert chosen.specs[0].options == {"region": "eu-west-1"}
    assert chosen.specs[1].setting == "TAILRACE_DESTINATIONS, second entry"


def test_nothing_set_is_nothing_wanted() -> None:
    chosen = load_destinations({}, SCHEMES)
    assert (chosen.specs, chosen.problems) == ([], [])


def test_one_bad_entry_does_not_take_the_others_with_it() -> None:
    chosen = load("stdout: s4://logs file:///tmp/x")
    assert [spec.scheme for spec in chosen.specs] == ["stdout", "file"]
    assert [str(problem) for problem in chosen.problems] == [
        'TAILRACE_DESTINATIONS, second entry: unknown scheme "s4" in "s4://logs"; known: file, http, https, s3, stdout'
    ]


def test_the_bucket_of_the_aws_demo_is_used_when_nothing_else_is_set() -> None:
    chosen = load("", S3_BUCKET_NAME="my.bucket")
    assert [(spec.name, spec.setting) for spec in chosen.specs] == [("s3://my.bucket", "S3_BUCKET_NAME")]
    assert [spec.scheme for spec in load("stdout:", S3_BUCKET_NAME="bucket").specs] == ["stdout"]
    assert load("s4://x", S3_BUCKET_NAME="bucket").specs == []


@pytest.mark.parametrize("value", ["s3://bucket", "bucket/prefix", "buck et", "bucket?x=y", "b"])
def test_a_bucket_variable_that_is_no_bucket_is_named(value: str) -> None:
    chosen = load("", S3_BUCKET_NAME=value)
    assert chosen.specs == []
    assert chosen.problems[0].setting == "S3_BUCKET_NAME"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("filee:///x", '(did you mean "file"?)'),
        ("htps://h/x", '(did you mean "https"?)'),
        ("file://demo-out/x", "three slashes"),
        ("file:x", "no absolute path"),
        ("file:///", "no absolute path"),
        ("file:///a%00b", "NUL"),
        ("file:///x?compres=gzip", 'unknown query key "compres" in "file:///x?compres=***" (did you mean "compress"?)'),
        ("file:///x?compress=zip", "allowed: gzip, none"),
        ("file:///x?compress", "allowed: gzip, none"),
        ("file:///x?compress=gzip&compress=none", "stands twice"),
        ("stdout://x", "write stdout: alone"),
        ("stdout:?a=b", "this scheme takes none"),
        ("s3:bucket", "no name of a bucket"),
        ("s3:///prefix", "no name of a bucket"),
        ("s3://bu", "no name of a bucket"),
        ("s3://key:hunter2@bucket", "credentials come from the environment"),
        ("s3://bucket?region=eu%20west", "the name of a region"),
        ("s3://bucket?region=evil.example/", "the name of a region"),
        ("s3://bucket?endpoint=127.0.0.1:9000", "a URL of http or https"),
        ("s3://bucket?endpoint=ftp://h", "a URL of http or https"),
        ("s3://bucket?endpoint=http://k:hunter2@h", "without user information"),
        ("s3://bucket?path-style=yes", "allowed: true, false, auto"),
        ("s3://bucket?sse=aes256", "allowed: AES256, aws:kms, aws:kms:dsse"),
        ("s3://bucket?sse-kms-key-id=a%0d%0ab", "a KMS key"),
        ("s3://bucket?sse-kms-key-id=abc", "add sse=aws:kms"),
        ("s3://bucket?secret=hunter2", "unknown query key"),
        ("s3://bucket?hunter2", "unknown query key"),
        ("s3://bucket/" + "x" * 513, "512 bytes"),
        ("user:hunter2", "unknown scheme"),
        ("hunter2:x@h", 'unknown scheme in "***:***"'),
        ("hunter2hunter2hunter2:x", 'unknown scheme in "***:***"'),
        ("hunter2:%zz@h", 'in "***:***"'),
        ("http:/joe:hunter2@host/in", 'no host in "http:***"'),
        ("https:joe:hunter2@h", "no host"),
        ("https:///joe:hunter2@h", "no host"),
        ("https:\\\\joe:hunter2@h", "no host"),
        ("s3:/KEY:hunter2@b", "no name of a bucket"),
        ("s3:///KEY:hunter2@b", "no name of a bucket"),
        ("s3://KEY/hunter2@b?x=1", "unknown query key"),
        ("stdout:hunter2", 'more than the scheme in "stdout:***"'),
        ("stdout://hunter2", 'more than the scheme in "stdout:***"'),
        ("s3://bucket/x?token=t&region=hunter2", "unknown query key"),
        ("s3://bucket/x?region=eu-west-1&joe:hunter2@h=1", "unknown query key in"),
        ("https:///x", "no host"),
        ("https://h?tailrace-formt=array", '(did you mean "tailrace-format"?)'),
        ("https://h?tailrace-format=xml", "allowed: ndjson, array"),
        ("file:///a,s3://bucket", "separate them by blanks"),
    ],
)
def test_a_bad_entry_is_one_clear_sentence(entry: str, said: str) -> None:
    chosen = load(f"stdout: {entry}")
    assert len(chosen.specs) == 1
    (problem,) = chosen.problems
    assert problem.setting == "TAILRACE_DESTINATIONS, second entry"
    assert said in str(problem)
    assert problem.remedy
    assert "hunter2" not in str(problem)
    assert "hunter2" not in repr(problem)
    assert "\n" not in str(problem)


def test_the_same_entry_twice_is_pointed_out() -> None:
    chosen = load("stdout: stdout:")
    assert len(chosen.specs) == 1
    assert "same as TAILRACE_DESTINATIONS, first entry" in str(chosen.problems[0])


def test_unknown_keys_of_http_belong_to_the_server() -> None:
    (spec,) = load("https://h/x?api_key=hunter2&tailrace-format=array").specs
    assert spec.options == {"tailrace-format": "array"}
    assert spec.name == "https://h/x?api_key=***&tailrace-format=array"
    assert "hunter2" not in repr(spec)


def test_places_and_slips_in_words() -> None:
    assert [ordinal(i) for i in (0, 9, 10, 11, 12, 20, 21, 22, 110)] == [
        "first", "tenth", "11th", "12th", "13th", "21st", "22nd", "23rd", "111th",
    ]  # fmt: skip
    assert closest("regoin", ["region", "endpoint"]) == "region"
    assert closest("zzz", ["region"]) is None
    assert closest("s4", ["s3"]) is None
