"""Forms in which secrets stand in real logs, with all built-in rules: none may be left."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.config.tables import MaskSpec
from tailrace.errors import ConfigError
from tailrace.model.record import Record
from tailrace.processors.mask import build_masker
from tailrace.processors.mask_colours import Colourless
from tailrace.processors.mask_rules import BUILT_IN

TIME = "2026-11-20T21:00:00.000Z"
X = "hunter2x"
ALL = [MaskSpec("here", name, rule=name) for name in BUILT_IN]


def masked(content: object, *specs: MaskSpec) -> object:
    problems: list[ConfigError] = []
    masker = build_masker(specs or ALL, False, problems)
    assert masker is not None
    event = {"time": TIME, "type": "function", "record": content}
    subject = Record(1, TIME, "function", event, json.dumps(event))
    masker.mask(subject)
    decoded = json.loads(subject.raw or "")
    assert decoded == subject.event
    return decoded["record"]


EVENT = {"version": "2.0", "cookies": [f"session={X}; Path=/"], "headers": {"host": "h"}}


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (EVENT, {**EVENT, "cookies": "***"}),
        (json.dumps(EVENT), json.dumps({**EVENT, "cookies": "***"})),
        (repr(EVENT), "{'version': '2.0', 'cookies': ***"),
        ({"cookies": {"sid": X}}, {"cookies": "***"}),
        ({"requestCookies": f"sid={X}"}, {"requestCookies": "***"}),
        ({"cookies": [{"name": "sid", "value": X}]}, {"cookies": "***"}),
        ({"userPasswords": {"bob": X}, "tokens": [X], "secrets": {"a": {"b": X}}, "apiKeys": [X]}, None),
        (f"tokens=[{X}, b]", "tokens=***"),
        (f"cookies={{sid={X}}}", "cookies=***"),
        (f"apiKeys: {X},b", "apiKeys: ***"),
    ],
)
def test_several_are_masked_like_one(content: object, left: object) -> None:
    if isinstance(content, dict) and left is None:
        left = dict.fromkeys(content, "***")
    assert masked(content) == left


@pytest.mark.parametrize(
    "content",
    [
        {"tokens": 1523, "passwords": 3, "cookies": True, "secrets": None},
        {"usage": {"prompt_tokens": 12, "tokens": {"prompt": 12, "completion": 40.5}, "secrets": []}},
        "usage: {'tokens': {'prompt': 12, 'completion': 40}, 'cookies': 3}",
        "tokens=1,523 max_tokens: 4k, cookies: none",
        "tokens=[1, 2, 3]",
    ],
)
def test_how_many_there_are_stays(content: object) -> None:
    assert masked(content) == content


COLOURED = [
    ("\x1b[36mpassword\x1b[0m=\x1b[35m{}\x1b[0m", "\x1b[36mpassword\x1b[0m=\x1b[35m***\x1b[0m"),
    ("password\x1b[0m: \x1b[31m'{}'\x1b[0m", "password\x1b[0m: \x1b[31m'***'\x1b[0m"),
    ("\x1b[1;32mpassword=\x1b[0m{} rest", "\x1b[1;32mpassword=\x1b[0m*** rest"),
    ("{{ password: \x1b[32m'{}'\x1b[39m, a: \x1b[33m1\x1b[39m }}", None),
    ("\\x1b[36mpassword\\x1b[0m=\\x1b[35m{}\\x1b[0m", "\\x1b[36mpassword\\x1b[0m=\\x1b[35m***\\x1b[0m"),
    ("\\u001b[36mpassword\\u001b[0m=\\u001b[35m{}\\u001b[0m", None),
    ("\x1b[38;5;12mdb_pass\x1b[1mword\x1b[0m --> \x1b[2mtoken\x1b[0m={}", None),
    ("pass\x1b[1mword\x1b[0m={}", "pass\x1b[1mword\x1b[0m=***"),
    ("--password \x1b[33m{}\x1b[0m", "--password \x1b[33m***\x1b[0m"),
]


@pytest.mark.parametrize(("text", "left"), COLOURED)
def test_colours_of_a_terminal_hide_nothing(text: str, left: str | None) -> None:
    found = masked(text.format(X))
    assert X not in str(found)
    if left is not None:
        assert found == left


colours = st.sampled_from(["\x1b[0m", "\x1b[1;31m", "\\x1b[32m", "\x9b4m"])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text("ab \\[m", max_size=4), colours), max_size=6), st.text("ab \\[", max_size=4), st.data()
)
def test_a_place_in_a_text_without_colours_has_its_place_in_the_one_with_them(
    pieces: list[tuple[str, str]], last: str, data: st.DataObject
) -> None:
    original = "".join(text + colour for text, colour in pieces) + last
    plain = Colourless(original)
    start = data.draw(st.integers(0, len(plain.text)))
    stop = data.draw(st.integers(start, len(plain.text)))
    if start < stop:
        ((begin, end),) = plain.original([(start, stop)])
        assert original[begin] == plain.text[start]
        assert original[end - 1] == plain.text[stop - 1]
        assert Colourless(original[begin:end]).text == plain.text[start:stop]


@pytest.mark.parametrize(
    "text",
    [
        "<Password> {} </Password>",
        "<Password>\n   {}\n</Password>",
        "<a>\n  <db:password type='x'>\n\t{}\r\n  </db:password>\n</a>",
        '<property name="password">{}</property>',
        "<entry key='password'>{}</entry>",
        '<string name="api_key">\n {}\n</string>',
        '<property name="password"><value>{}</value></property>',
        '<property\n name="db.password" type="x">{}</property>',
        '{{"xml": "<entry key=\\"password\\">{}</entry>", broken',
        "&lt;password&gt;{}&lt;/password&gt;",
    ],
)
def test_the_content_of_an_element_is_masked_and_the_white_space_stays(text: str) -> None:
    assert masked(text.format(X)) == text.format("***")


def test_white_space_around_cdata_hides_nothing() -> None:
    assert X not in str(masked(f"<password>\n  <![CDATA[{X}]]>\n</password>"))
    assert X not in str(masked(f'<entry key="password"> <![CDATA[{X}]]> </entry>'))


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("postgres://app:p@{}@db/x", "postgres://app:***@db/x"),
        ("postgres://app:ab/{}@db/x", "postgres://app:***@db/x"),
        ("postgres://app:1234{}@db/x", "postgres://app:***@db/x"),
        ("redis://:{}@h:6379/0,redis://:b{}@i:6379/0", "redis://:***@h:6379/0,redis://:***@i:6379/0"),
        ('url="amqp://app:a:{}/@@q" to="bob"', 'url="amqp://app:***@q" to="bob"'),
        ("https://app:a'{}@h/ x", "https://app:***@h/ x"),
    ],
)
def test_a_password_in_a_url_may_hold_what_urls_are_made_of(url: str, left: str) -> None:
    assert masked(url.format(X, X), MaskSpec("here", "u", rule="url-password")) == left


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:3000/@scope/name", "https://db:5432/a@b", "https://example.com/a:b@c", "see http://h:80 a@b",
        "http://h:8080?to=a@b", "ssh://git@host:22/x", "postgres://db.internal:5432/shop",
    ],
)  # fmt: skip
def test_a_port_is_no_password(url: str) -> None:
    assert masked(url, MaskSpec("here", "u", rule="url-password")) == url


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ({"ParameterKey": "DbPassword", "ParameterValue": X}, {"ParameterKey": "DbPassword", "ParameterValue": "***"}),
        ({"ParameterValue": X, "ParameterKey": "DbPassword"}, {"ParameterValue": "***", "ParameterKey": "DbPassword"}),
        ({"loc": ["body", "password"], "input": X}, {"loc": ["body", "password"], "input": "***"}),
        ({"input": [X], "loc": ["body", 0, "password"]}, {"input": "***", "loc": ["body", 0, "password"]}),
        ({"loc": ["body", "age"], "input": "x1"}, {"loc": ["body", "age"], "input": "x1"}),
        (
            {"op": "replace", "path": "/db/password", "value": X},
            {"op": "replace", "path": "/db/password", "value": "***"},
        ),
        (
            {"newValue": X, "oldValue": X, "field": "password"},
            {"newValue": "***", "oldValue": "***", "field": "password"},
        ),
        ({"value": None, "note": "n", "key": "token"}, {"value": None, "note": "n", "key": "token"}),
        ({"value": X, "note": "n", "key": "token"}, {"value": "***", "note": "n", "key": "token"}),
        (
            f"[{{'loc': ('body', 'password'), 'msg': 'too short', 'input': '{X}'}}]",
            "[{'loc': ('body', 'password'), 'msg': 'too short', 'input': '***'}]",
        ),
        (
            f"{{'ParameterKey': 'DbPassword', 'ParameterValue': '{X}'}}",
            "{'ParameterKey': 'DbPassword', 'ParameterValue': '***'}",
        ),
    ],
)
def test_a_value_whose_name_is_another_members_value_is_masked(content: object, left: object) -> None:
    assert masked(content) == left


@pytest.mark.parametrize("scheme", ["Bearer", "Basic", "bearer"])
@pytest.mark.parametrize(
    "credential", ["abcdefgh1", "YWJjZGVmZ2g", "abcdefghijklmnopqrstuvwxyz", "abcdefgh==", "AbCdEfGhIj"]
)
def test_a_credential_behind_its_scheme_is_masked_and_a_word_in_a_header_too(scheme: str, credential: str) -> None:
    specs = [MaskSpec("here", name, rule=name) for name in ("bearer", "basic-auth")]
    assert masked(f"sent {scheme} {credential}, ok", *specs) == f"sent {scheme} ***, ok"
    header = f'"authorization": "{scheme} abcdefghijk" x'
    assert masked(header, *specs) == f'"authorization": "{scheme} ***" x'


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        ('"postgres:\\/\\/u:hunter2x@h"', "url-password"),
        ('"bob\\u0040example.com hunter2x@example.com"', "email"),
        ('"h\\u0074tp://u:hunter2x@h"', "url-password"),
        ('"BeArEr hunter2x"', "bearer"),
        ('"BASIC hunter2x"', "basic-auth"),
        ('"\\u0062earer hunter2x"', "bearer"),
        ('"\\u0034111 1111 1111 1111"', "card"),
        ('"3782-822463-10005"', "card"),
    ],
)
def test_what_json_writes_otherwise_is_found_by_its_rule_alone(raw: str, rule: str) -> None:
    masker = build_masker([MaskSpec("here", rule, rule=rule)], False, [])
    assert masker is not None
    subject = Record(1, TIME, "function", {"record": json.loads(raw)}, f'{{"record":{raw}}}')
    masker.mask(subject)
    assert masker.counts == {rule: 2 if "example" in raw else 1}


HOSTILE = [
    "password: a b ", "password: must ", "<password> x ", "<password>  ", "<password> <![CDATA[", "key='password'>",
    "key='password'> <value>", "'loc': ('password'), 'a': 'b', ", "&lt;password&gt;", "\x1b[1m", "\\x1b[", "\\",
    "\x1b[0mpassword\x1b[0m=\x1b[0ma ", "://a:b@", "://a:b/@/", "a@b.c.", "a@1.", "tokens=[1,", "tokens={a:",
    "arn:aws:password:", "a:password:", "authorization: bearer ", "Bearer word/", "('password', 'a'), ", "password=a(",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_of_any_of_these_forms_does_not_stop_it(piece: str) -> None:
    # what went through it quadratically would not be done before the limit of this test
    masked(piece * (1_000_000 // len(piece)))


@pytest.mark.parametrize("opening", ['{"tokens":', '{"value":', '{"loc":["a"],"input":', '["tokens",', '{"loc":['])
def test_a_megabyte_of_nested_json_does_not_stop_it(opening: str) -> None:
    masker = build_masker(ALL, False, [])
    assert masker is not None
    closing = "".join("}" if sign == "{" else "]" for sign in reversed(opening.replace('["a"]', "")) if sign in "{[")
    n = 1_000_000 // len(opening + closing)
    raw = '{"time":"t","type":"function","record":' + opening * n + "1" + closing * n + "}"
    masker.mask(Record(1, "t", "function", {"record": None}, raw))
