"""What must not leave does not leave, whatever it is wrapped in, and everything else stays as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.pipeline_fakes import Told
from tailrace.config.tables import MaskSpec
from tailrace.errors import ConfigError
from tailrace.model.record import Record
from tailrace.processors.mask import Masker, build_masker
from tailrace.processors.mask_rules import BUILT_IN, BUILT_IN_KEYS, build_rules
from tailrace.processors.pattern_budget import TEXT_S, Budget

TIME = "2026-11-20T21:00:00.000Z"
SECRET = "hunter2x"


def masker(*specs: MaskSpec) -> Masker:
    problems: list[ConfigError] = []
    made = build_masker(specs, False, problems)
    assert problems == []
    assert made is not None
    return made


def keys(*names: str, replacement: str = "***") -> MaskSpec:
    return MaskSpec("here", "keys", keys=names, replacement=replacement)


def pattern(text: str, name: str = "pattern", replacement: str = "***") -> MaskSpec:
    return MaskSpec("here", name, pattern=text, replacement=replacement)


def rule(name: str) -> MaskSpec:
    return MaskSpec("here", name, rule=name)


def record(content: object, kind: str = "function", **form: object) -> Record:
    event = {"time": TIME, "type": kind, "record": content}
    return Record(1, TIME, kind, event, json.dumps(event, **form))  # type: ignore[arg-type]


def masked(content: object, *specs: MaskSpec) -> object:
    """The record's content behind the mask, decoded; the envelope must have stayed."""
    subject = record(content)
    masker(*specs).mask(subject)
    assert subject.raw is not None
    event = json.loads(subject.raw)
    assert event == subject.event
    assert (event["time"], event["type"]) == (TIME, "function")
    return event["record"]


PASSWORD = keys("password", "Authorization")


@pytest.mark.parametrize(
    ("content", "left"),
    [
        # texts
        ("password=hunter2 and more", "password=*** and more"),
        ("PASSWORD: hunter2, more", "PASSWORD: ***, more"),
        ("password = 'hunter2 is long' x", "password = '***' x"),
        ('x "password": "hun\\"ter2" y', 'x "password": "***" y'),
        ("x {'password': 'it\\'s hunter2'} y", "x {'password': '***'} y"),
        ("x {'password': b'hunter2 is long'} y", "x {'password': b'***'} y"),
        # JSON in a text of JSON, behind other words
        ('x {"a":"{\\"password\\":\\"hunter2, too\\",\\"n\\":1}"}', 'x {"a":"{\\"password\\":\\"***\\",\\"n\\":1}"}'),
        ('x \\"password\\":\\"say \\\\\\"hunter2\\\\\\" now\\" y', 'x \\"password\\":\\"***\\" y'),
        ('x \\\\\\"password\\\\\\": \\\\\\"hunter2 cut', 'x \\\\\\"password\\\\\\": \\\\\\"***'),
        ("Authorization: AWS4-HMAC-SHA256 Credential=A, Signature=hunter2\nx", "Authorization: ***\nx"),
        ('cut off {"a":1,"password":{"b":["hunter2', 'cut off {"a":1,"password":***'),
        ("Authorization: Bearer hunter2 x", "Authorization: *** x"),
        ("my_password=hunter2", "my_password=***"),
        ("a password was set", "a password was set"),
        (f'{TIME}\tid\tINFO\t{{"password":"hunter2","a":1}}', f'{TIME}\tid\tINFO\t{{"password":"***","a":1}}'),
        # JSON in a text
        ('{"password":"hunter2","a":[1.50]}\n', '{"password":"***","a":[1.50]}\n'),
        ('{ "a": {"PassWord" : [1, {"b": "hunter2"}] } }', '{ "a": {"PassWord" : "***" } }'),
        ('{"a":"{\\"password\\":\\"hunter2\\"}"}', '{"a":"{\\"password\\":\\"***\\"}"}'),
        ('{"password":null}', '{"password":null}'),
        # objects
        ({"password": "hunter2", "n": 1}, {"password": "***", "n": 1}),
        ({"a": [{"PASSWORD": {"deep": 1}}]}, {"a": [{"PASSWORD": "***"}]}),
        ({"pass\u0077ord": 5, "passwords": 6}, {"password": "***", "passwords": 6}),
        ({"message": "password=hunter2"}, {"message": "password=***"}),
        ([{"password": True}, {"password": 17}], [{"password": True}, {"password": "***"}]),
        ({"a": {}, "b": [], "c": None, "d": "]}", "password": 1e5, "e": "["}, None),
    ],
)
def test_values_of_named_members_at_any_depth(content: object, left: object) -> None:
    if left is None:
        assert isinstance(content, dict)
        left = {**content, "password": "***"}
    assert masked(content, PASSWORD) == left


@pytest.mark.parametrize(
    ("name", "content", "left"),
    [
        ("aws-access-key", "key AKIAIOSFODNN7EXAMPLE.", "key ***."),
        ("aws-access-key", "AKIAIOSFODNN7EXAMPLE9 is longer", "AKIAIOSFODNN7EXAMPLE9 is longer"),
        ("aws-secrets", {"SecretAccessKey": "x", "other": 1}, {"SecretAccessKey": "***", "other": 1}),
        ("aws-secrets", "export AWS_SECRET_ACCESS_KEY=abc/def", "export AWS_SECRET_ACCESS_KEY=***"),
        ("credentials", {"token": 1, "Set-Cookie": "a=b"}, {"token": "***", "Set-Cookie": "***"}),
        ("basic-auth", "Basic dXNlcjpwYXNz x", "Basic *** x"),
        ("bearer", "Authorization: bearer abc.def-ghi_j== x", "Authorization: bearer *** x"),
        ("bearer", "the bearer of news", "the bearer of news"),
        ("card", "paid with 4111 1111 1111 1111.", "paid with ***."),
        ("card", {"n": 4111111111111111, "t": 1732224000123}, {"n": "***", "t": 1732224000123}),
        ("card", "amex 378282246310005", "amex ***"),
        ("card", "4111-1111-1111-1112 and 4111-1111-1111-1111", "4111-1111-1111-1112 and ***"),
        ("card", "order 2235 4111 1111 1111 1111 12/29", "order 2235 *** 12/29"),
        ("card", {"n": 4111111111111112}, {"n": 4111111111111112}),
        ("card", "id 41111111-1111-1111-1111-111111111111", "id 41111111-1111-1111-1111-111111111111"),
        ("card", "51000000-0000-0008-8000-000000000000", "51000000-0000-0008-8000-000000000000"),
        ("card", "20111111-4111-1111-1111-111111111111", "20111111-4111-1111-1111-111111111111"),
        ("email", "from bob.b+x@mail.example.com, to al@localhost", "from ***, to al@localhost"),
        ("jwt", "t eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_ x", "t *** x"),
        ("private-key", "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nx", "***\nx"),
        ("private-key", "-----BEGIN PRIVATE KEY-----\nMII cut", "***"),
        ("url-password", "postgres://user:pa%24s@db/x", "postgres://user:***@db/x"),
        ("url-password", "https://db:5432/x", "https://db:5432/x"),
    ],
)
def test_built_in_rules(name: str, content: object, left: object) -> None:
    assert masked(content, rule(name)) == left


def test_every_built_in_rule_has_a_case() -> None:
    cases = next(m for m in test_built_in_rules.pytestmark if m.name == "parametrize")  # type: ignore[attr-defined]
    assert {case[0] for case in cases.args[1]} == set(BUILT_IN)


def test_a_pattern_with_a_group_replaces_the_group_and_any_replacement_is_text() -> None:
    assert masked("id=12 id=34", pattern(r"id=(\d+)", replacement='\\1"')) == 'id=\\1" id=\\1"'
    assert masked({"a": "id=12"}, pattern(r"id=(\d+)", replacement='"')) == {"a": 'id="'}


def test_names_of_members_are_masked_by_patterns_and_the_envelope_is_not() -> None:
    assert masked({"bob@example.com": 1}, rule("email")) == {"***": 1}
    assert masked("x", pattern("[a-z0-9:.TZ-]+")) == "***"
    assert masked({"record": "x", "time": "y"}, pattern("[a-z]+")) == {"***": "***"}


def test_what_is_not_found_stays_byte_for_byte() -> None:
    text = '{"time":"2026-11-20T21:00:00.000Z",  "type":"function","record":{"a":1.50,"\\u0041": "\\/","b":[1e5 ]}}'
    subject = Record(1, TIME, "function", json.loads(text), text)
    masker(PASSWORD, rule("email"), rule("card")).mask(subject)
    assert subject.raw is text
    found = text.replace('"\\/"', '"a@b.co"')
    subject = Record(1, TIME, "function", json.loads(found), found)
    masker(rule("email")).mask(subject)
    assert subject.raw == text.replace('"\\/"', '"***"')


def test_odd_events_are_masked_too() -> None:
    for raw, left in [('"a@b.co"', '"***"'), ("null", "null"), ("7", "7"), ('["a@b.co",1]', '["***",1]'), ("{}", "{}")]:
        subject = Record(1, "", "", json.loads(raw), raw)
        masker(rule("email")).mask(subject)
        assert subject.raw == left
        assert subject.event == json.loads(left)


def test_a_record_whose_text_was_given_up_is_written_anew() -> None:
    subject = record("a@b.co")
    subject.raw = None
    subject.line = b"old"
    masker(rule("email")).mask(subject)
    assert json.loads(subject.raw or "")["record"] == "***"
    assert subject.line is None


def test_counts_are_kept_by_rule_and_told_once() -> None:
    made = masker(PASSWORD, rule("email"), pattern("x", "xs"))
    told = Told()
    made.tell(told)
    assert told.lines == []
    made.mask(record({"password": "a@b.co", "to": "a@b.co, c@d.co x"}))
    made.mask(record("password=1"))
    made.tell(told)
    assert told.lines == [("info", "masked before delivery", {"rules": {"keys": 2, "email": 2, "xs": 1}})]


def test_a_rule_that_cannot_be_used_withholds_what_people_wrote() -> None:
    problems: list[ConfigError] = []
    made = build_masker([pattern("(a+)+"), rule("emial"), rule("email")], False, problems)
    assert [str(problem).partition(";")[0] for problem in problems] == [
        "here, pattern: the pattern may be too slow: "
        "it repeats what is itself variable (a repetition, an option or alternatives)",
        'here: there is no rule "emial" (did you mean "email"?)',
    ]
    assert made is not None
    line, start = record({"secret": SECRET}), record({"requestId": "a"}, "platform.start")
    made.mask(line)
    made.mask(start)
    assert json.loads(line.raw or "") == line.event == {"time": TIME, "type": "function", "record": "withheld"}
    assert start.event == {"time": TIME, "type": "platform.start", "record": {"requestId": "a"}}
    assert made.counts == {"withheld": 1}
    assert build_masker([], True, []) is not None
    assert build_masker([], False, []) is None


def test_the_same_built_in_rule_twice_counts_once() -> None:
    made = masker(rule("email"), rule("email"))
    made.mask(record("a@b.co"))
    assert made.counts == {"email": 1}


plain = st.text(max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=8,
)
wrapped = st.recursive(
    st.tuples(plain, plain).map(lambda around: around[0] + SECRET + around[1]),
    lambda inner: (
        st.tuples(values, inner).map(list)
        | st.tuples(plain, inner).map(lambda member: {member[0]: member[1]})
        | inner.map(json.dumps)
        | inner.map(lambda value: json.dumps(value, indent=1, ensure_ascii=False))
    ),
    max_leaves=3,
)


@settings(deadline=None)
@given(wrapped, st.booleans())
def test_a_secret_is_found_in_whatever_it_is_wrapped_and_the_line_stays_json(content: object, ascii_only: bool) -> None:
    subject = record(content, ensure_ascii=ascii_only)
    masker(pattern(SECRET), PASSWORD).mask(subject)
    assert subject.raw is not None
    assert json.loads(subject.raw) == subject.event
    assert SECRET not in subject.raw
    assert SECRET not in str(subject.event)


@settings(deadline=None)
@given(values, st.sampled_from(["password", "PASSWORD", "Authorization"]), wrapped)
def test_a_named_member_is_masked_wherever_it_stands(around: object, key: str, secret: object) -> None:
    subject = record([around, {"x": {key: secret, "y": around}}])
    masker(PASSWORD).mask(subject)
    assert subject.raw is not None
    assert SECRET not in subject.raw
    event = json.loads(subject.raw)
    assert event == subject.event
    assert event["record"][1]["x"][key] == "***"


@settings(deadline=None)
@given(values)
def test_what_holds_nothing_to_mask_is_left_alone(content: object) -> None:
    subject = record(content)
    raw = subject.raw
    masker(pattern("§{3}"), keys("§§§")).mask(subject)
    assert subject.raw is raw


@settings(deadline=None)
@given(st.text(alphabet='"\\{}[]:,password= \n', max_size=60))
def test_hostile_texts_never_break_a_line(text: str) -> None:
    subject = record(text)
    masker(PASSWORD, *map(rule, BUILT_IN)).mask(subject)
    assert subject.raw is not None
    assert json.loads(subject.raw) == subject.event


@pytest.mark.parametrize(
    "piece", ["a@", "://a:", "eyJ", "password:", "Bearer ", "-----BEGIN ", "4111 ", '"', "\\", "{"]
)
def test_long_hostile_texts_do_not_stop_the_built_in_rules(piece: str) -> None:
    # a rule that went through them quadratically would not be done before the limit of this test
    made = masker(*map(rule, BUILT_IN))
    made.text(piece * 100_000)
    made.text("a" * 500_000 + piece)


def test_deeply_nested_records_are_masked() -> None:
    raw = '{"time":"t","type":"function","record":' + '{"a":[' * 400 + '{"password":"hunter2x"}' + "]}" * 400 + "}"
    subject = Record(1, "t", "function", {"record": None}, raw)
    masker(PASSWORD).mask(subject)
    assert subject.raw == raw.replace('"hunter2x"', '"***"')


def test_keys_of_built_in_rules_are_what_logs_call_them() -> None:
    assert "authorization" in BUILT_IN_KEYS["credentials"]


def test_what_there_was_no_time_to_search_is_masked_and_counted_apart() -> None:
    clock = [0.0]

    def now_s() -> float:
        clock[0] += TEXT_S * 2 / 3
        return clock[0]

    patterns = build_rules([pattern("a.*c.*d", "slow"), pattern("x[0-9]", "cheap")], [])[1]
    made = Masker([], patterns, budget=Budget(now_s))
    assert made.text("a cd x1") == "*** ***"
    long = made.text("a cd " + "." * 1000 + "x1")
    assert (long[:5], long[-3:]) == ("*** .", "***")
    while not (masked := made.text("nothing of it, x1")).startswith("***"):
        pass  # until the post has had its share
    assert masked == "***"
    assert made.text("x1") == "***"
    assert {name: n > 0 for name, n in made.counts.items()} == {
        "slow": True, "cheap": True, "slow (out of time)": True,
    }  # fmt: skip
    made.begin_body()
    assert made.text("nothing of it, x1") == "nothing of it, ***"


def test_texts_too_long_for_a_pattern_are_counted_and_told() -> None:
    made = masker(pattern(r"\[[^]]*\]", "brackets"), pattern("x[0-9]+y", "fixed"))
    made.text("-" * 3000)
    told = Told()
    made.tell(told)
    assert told.lines == []
    made.text("-" * 4000)
    made.tell(told)
    assert told.lines == [
        ("warn", "texts too long for a mask to find every long match in them", {"rules": {"brackets": 1}})
    ]
