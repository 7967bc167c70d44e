"""Names of secrets: which members they mean, and where their values stand, in JSON and in text."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tailrace.config.tables import MaskSpec
from tailrace.errors import ConfigError
from tailrace.model.record import Record
from tailrace.processors.mask import Masker, build_masker
from tailrace.processors.mask_names import Names
from tailrace.processors.mask_rules import BUILT_IN_KEYS

TIME = "2026-11-20T21:00:00.000Z"
X = "hunter2x"
CREDENTIALS = MaskSpec("here", "credentials", rule="credentials")
PASSWORD = MaskSpec("here", "keys", keys=("password",))


def masker(*specs: MaskSpec) -> Masker:
    problems: list[ConfigError] = []
    made = build_masker(specs, False, problems)
    assert problems == []
    assert made is not None
    return made


def masked(content: object, *specs: MaskSpec, kind: str = "function") -> object:
    event = {"time": TIME, "type": kind, "record": content}
    subject = Record(1, TIME, kind, event, json.dumps(event))
    masker(*(specs or (CREDENTIALS,))).mask(subject)
    decoded = json.loads(subject.raw or "")
    assert decoded == subject.event
    return decoded["record"]


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "Password", "passWord", "db_password", "DB_PASSWORD", "dbPassword", "DBPassword",
        "db-password", "db.password", "the password", "oauth2Password", "user[password]", "password2", "password_1",
        "passwordHash", "password_hash", "PASSWORD_OLD", "newPasswordConfirmation", "password_sha256", "größe_password",
    ],
)  # fmt: skip
def test_a_name_is_meant_in_every_writing_and_as_the_last_words_of_a_longer_one(name: str) -> None:
    assert Names(["password"]).mean(name)
    assert masked({name: X}, PASSWORD) == {name: "***"}


@pytest.mark.parametrize(
    "name",
    [
        "passwords",
        "mypassword",
        "password_policy",
        "passwordless",
        "passwordResetUrl",
        "password_expires_in",
        "pass",
        "",
    ],
)
def test_a_name_that_says_something_else_about_it_is_not_meant(name: str) -> None:
    assert not Names(["password"]).mean(name)
    assert masked({name: X}, PASSWORD) == {name: X}


@pytest.mark.parametrize("name", ["apikey", "apiKey", "api_key", "API-KEY", "x-api-key", "X_API_KEY", "stripeApiKey"])
def test_names_of_several_words_are_meant_however_these_are_joined(name: str) -> None:
    assert Names(["api_key"]).mean(name)
    assert Names(["apiKey"]).mean(name)


def test_without_compounds_only_the_name_itself_counts() -> None:
    whole = MaskSpec("here", "keys", keys=("id", "größe"), compounds=False)
    assert masked({"id": 1, "ID": 2, "userId": 3, "GRÖSSE": 4, "größe": 5}, whole) == {
        "id": "***", "ID": "***", "userId": 3, "GRÖSSE": 4, "größe": "***",
    }  # fmt: skip
    assert masked(f"id={X} user_id=7 x-id=8 --id {X} --id={X}", whole) == "id=*** user_id=7 x-id=8 --id *** --id=***"


def test_in_the_platforms_own_events_only_whole_names_count() -> None:
    spec = MaskSpec("here", "keys", keys=("id", "name"))
    start = {"requestId": "r", "functionName": "f", "name": "n"}
    assert masked(start, spec, kind="platform.start") == {"requestId": "r", "functionName": "f", "name": "***"}
    assert masked({"requestId": "r"}, spec) == {"requestId": "***"}


# Texts with the secret in them; what is left is the same with the mask in its place.
TEXTS = [
    "connect --password {} --host db",
    "connect --password={} --host db",
    "connect --db-password '{}' --host db",
    'connect -password "{}"',
    "['connect', '--password', '{}', '--host', 'db']",
    '["connect", "--token", "{}"]',
    "('password', '{}')",
    '("password", "{}"), ("user", "bob")',
    "[(b'password', b'{}')]",
    "{{'password': '{}', 'user': 'bob'}}",
    "{{'db': {{'db_password': '{}'}}}}",
    "Config(user='bob', password='{}')",
    "User(name=bob, password={})",
    "{{password={}, user=bob}}",
    "[password] => {} [user] => bob",
    ":password=>'{}', :user=>'bob'",
    "os.environ['DB_PASSWORD'] = '{}'",
    "user[password]={}&user[name]=bob",
    "a=1&password={}&b=2",
    "redirect=%2Flogin%3Fpassword%3D{}",
    "DB_PASSWORD: {}",
    "db_password={}",
    "PGPASSWORD={} psql",
    "db.password={}",
    "spring.datasource.password: {}",
    "passwordHash={}",
    "if password == '{}':",
    "<password>{}</password>",
    "<ns:Password>{}</ns:Password>",
    "<db:user-password type='plain'>{}</db:user-password>",
    "<password><![CDATA[{}]]></password>",
    '<db user="bob" password="{}"/>',
    "<db password='{}'>",
    '<property name="password" value="{}"/>',
    "<name>fs.password</name><value>{}</value>",
    "<key>password</key>\n  <string>{}</string>",
    "{{'name': 'password', 'value': '{}'}}",
    "Cookie: a={}; b=c",
    "Set-Cookie: session={}",
    "Authorization: Bearer {}",
    "curl -H 'X-Api-Key: {}' https://example.com",
    r'INFO {{"text":"login\npassword={}"}}',
    r'INFO {{"\u0022password\u0022: {} x',
    "password: {}, user: bob",
    "password:\t{}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_value_behind_a_name_in_text_is_masked(text: str) -> None:
    left = masked(text.format(X))
    assert isinstance(left, str)
    assert X not in left
    if "Cookie: a" in text:
        assert left == "Cookie: ***"
    elif "Set-Cookie" in text:
        assert left == "Set-Cookie: ***"
    elif "CDATA" in text:
        assert left == "<password>***]]></password>"
    elif "Bearer" in text:
        assert left == "Authorization: ***"
    elif "u0022" not in text:
        assert left == text.format("***")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("connect --password -%hunter2 -x", "connect --password *** -x"),
        ("['--password', '-%hunter2', '-x']", "['--password', '***', '-x']"),
        ("password=a,b&c;hunter2", "password=***"),
        ("password=a,b:hunter2,user=bob", "password=***,user=bob"),
        ("{password:hunter2,user: bob}", "{password:***,user: bob}"),
        ("password=hunter2;user=bob", "password=***;user=bob"),
        ("password=hunter2&user[name]=bob", "password=***&user[name]=bob"),
        ('"password":12345,"user":"bob"}', '"password":***,"user":"bob"}'),
    ],
)
def test_a_word_goes_on_behind_a_comma_unless_the_next_name_follows(text: str, left: str) -> None:
    assert masked(text) == left


word = st.text("abcXYZ019_.-/+=!#$%*?~|^@:", min_size=6, max_size=30).map(lambda text: "q7" + text)
quoted = st.text("abcXYZ019_.-/+=!#$%*?~|^@:,;&()[]{} ", min_size=6, max_size=30).map(lambda text: "q7" + text + "7q")


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([t for t in TEXTS if "&" not in t and "%3D" not in t]), word, st.text(max_size=20))
def test_a_secret_behind_a_name_never_appears_whatever_it_looks_like(text: str, secret: str, before: str) -> None:
    line = f"{before} {text.format(secret)}"
    # in what stands before it an open quote would make another text of it, and it may be the secret itself
    assume(secret not in before and not set(before) & set("\"'{[\\<-") and "%" not in before)
    left = masked(line)
    assert isinstance(left, str)
    assert secret not in left


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([t for t in TEXTS if "'{}'" in t or '"{}"' in t]), quoted)
def test_a_quoted_secret_never_appears_with_blanks_and_signs_in_it(text: str, secret: str) -> None:
    left = masked(text.format(secret))
    assert left == text.format("***")


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["password", "token", "the", "secret", "of", "a", "user", "x,", "\n", "<b>", "1"]), max_size=12
    ),
    st.sampled_from([" ", "  ", ". ", " - "]),
)
def test_prose_about_secrets_stays_as_it_is(words: list[str], between: str) -> None:
    text = between.join(words)
    assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Unexpected token '<', \"<!DOCTYPE\" is not valid JSON",
        "missing password, user, email",
        "fields: ('user', 'password', 'email')",
        "usage: login <user> <password> [--force]",
        "login --password --force",
        "GET /password/reset?x=1",
        "password_policy=strict passwords=3 max_tokens=5",
        "<token/>",
        "tokenized=1 secretary=bob",
    ],
)
def test_texts_that_only_speak_of_secrets_stay_as_they_are(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ({"name": "password", "value": X}, {"name": "password", "value": "***"}),
        ({"Value": {"a": [X]}, "x": [1], "Key": "DB_PASSWORD"}, {"Value": "***", "x": [1], "Key": "DB_PASSWORD"}),
        ({"name": "user", "value": X}, {"name": "user", "value": X}),
        ({"field": "password", "message": "short"}, {"field": "password", "message": "short"}),
        (["password", X], ["password", "***"]),
        ([["Authorization", f"Bearer {X}"], ["Host", "a"]], [["Authorization", "***"], ["Host", "a"]]),
        (["Set-Cookie", [X, X]], ["Set-Cookie", "***"]),
        (["user", "password", "email"], ["user", "password", "email"]),
        (["password", "email", "phone"], ["password", "email", "phone"]),
        (["x", "--password", X, "--host", "db"], ["x", "--password", "***", "--host", "db"]),
        (["--password", "-%secret", "-x"], ["--password", "***", "-x"]),
        (["--password", "--force", f"--token={X}"], ["--password", "--force", "--token=***"]),
        (
            {"rawHeaders": ["Host", "a", "Authorization", X, "Accept", "b"]},
            {"rawHeaders": ["Host", "a", "Authorization", "***", "Accept", "b"]},
        ),
        ({"a": json.dumps({"b": json.dumps({"db_password": X})})}, None),
        (json.dumps([{"name": "token", "value": X}]), None),
        (json.dumps({"rows": [{"user": {"apiKey": [X]}}]}), None),
    ],
)  # fmt: skip
def test_a_value_that_belongs_to_a_name_in_json_is_masked(content: object, left: object) -> None:
    if left is None:
        assert X not in str(masked(content))
        assert "***" in str(masked(content))
    else:
        assert masked(content) == left


names = st.sampled_from(["password", "db_password", "apiKey", "AUTH_TOKEN", "client-secret", "Cookie", "passwordHash"])
plain = st.text("abc {}[]\":,'\\", max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(json_values, names, st.lists(json_values, max_size=3), st.integers(0, 2), st.integers(1, 3))
def test_a_named_secret_never_appears_in_json_however_it_is_wrapped(
    around: object, name: str, others: list[object], levels: int, form: int
) -> None:
    secret: object = [*others, X]
    content: object = {1: {name: secret}, 2: {"value": secret, "name": name}, 3: [name, secret]}[form]
    for _ in range(levels):
        content = {"a": around, "b": json.dumps([content])}
    assert X not in json.dumps(masked([around, content]))


safe = st.text(st.characters(exclude_characters="§"), max_size=40)


@settings(deadline=None)
@given(st.recursive(safe | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(safe, inner), max_leaves=8))
def test_what_has_no_such_name_stays_byte_for_byte(content: object) -> None:
    event = {"time": TIME, "type": "function", "record": content}
    raw = json.dumps(event, ensure_ascii=False)
    subject = Record(1, TIME, "function", event, raw)
    masker(MaskSpec("here", "keys", keys=("§pass§", "x§y"))).mask(subject)
    assert subject.raw is raw


def test_of_two_rules_the_first_has_a_value_and_it_is_counted_once() -> None:
    first = MaskSpec("here", "mine", keys=("password",), replacement="[gone]")
    made = masker(first, CREDENTIALS)
    assert made.text(f"password={X} rest token: {X}") == "password=[gone] rest token: ***"
    assert made.counts == {"mine": 1, "credentials": 1}
    made = masker(first, CREDENTIALS)
    assert made.text(json.dumps({"password": X, "token": X})) == '{"password": "[gone]", "token": "***"}'
    assert made.counts == {"mine": 1, "credentials": 1}


HOSTILE = [
    "password", "password=", "password ", "--password ", "-password-", ".-", '("password","', "('password', \\\"",
    "<password ", "<password>", "<password><a>", "<a>password</a", "password</a> <", "name='password' value=",
    "password\\", "password=,a&", "password: a=b; ", "password=bearer ", "api_", "api_key_hash_", "password=\\\\\"",
    "\\u0022password\\u0022:", "&quot;password&quot;", "password == ", "p=", "-a.", "password=\\'", "password:%27",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_of_hostile_text_does_not_stop_it(piece: str) -> None:
    # what went through it quadratically would not be done before the limit of this test
    made = masker(*(MaskSpec("here", name, rule=name) for name in BUILT_IN_KEYS), PASSWORD)
    made.text(piece * (1_000_000 // len(piece)))


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ('{"value":', ',"name":"password"}'), ('["password",', "]"), ('{"a":', "}"), ('["--password",1,', "]"),
        ('{"name":"x","value":', "}"), ('{"headers":["password",', "]}"),
    ],
)  # fmt: skip
def test_a_megabyte_of_hostile_json_does_not_stop_it(opening: str, closing: str) -> None:
    n = 1_000_000 // len(opening + closing)
    raw = '{"time":"t","type":"function","record":' + opening * n + "1" + closing * n + "}"
    subject = Record(1, "t", "function", {"record": None}, raw)
    masker(CREDENTIALS).mask(subject)
    assert subject.raw is not None
