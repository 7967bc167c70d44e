"""Lines as functions write them all day, in which nothing is secret: with all built-in rules none is changed."""

from __future__ import annotations

import json

import pytest

from tailrace.config.tables import MaskSpec
from tailrace.model.record import Record
from tailrace.processors.mask import build_masker
from tailrace.processors.mask_rules import BUILT_IN

TEXTS = """
Order 7731 shipped to warehouse 12
signed in as carol after 2 attempts
The password of user dave was wrong
password must be changed every 90 days
Password reset mail queued
password policy updated: 14 characters
password: must have at least 10 characters
password: required
- password: field required
password: string too short
Password: this field may not be empty
password=null
password is None
Password for carol expired yesterday
validation failed: password, email
(using password: YES)
Access denied for user 'shop'@'10.1.2.3' (using password: NO)
FATAL: password authentication failed for user "shop"
UPDATE account SET password = $2 WHERE id = $1
update account set password = ? where id = ?
INSERT INTO account (id, password) VALUES (%s, %s)
CREATE TABLE account (id int, password varchar(80))
usage: tool [-h] [--user USER] [--password PASSWORD] [--db-password TEXT] file
usage: tool --token <token>
the option --password is deprecated, say --password-file
unknown option: --token
password: ${DB_PASSWORD}
"password" is not allowed to be empty
type Login = { user: string, password: string }
token=None
Token: null
Token expired 3 minutes ago
Invalid token: unexpected end of input
Unexpected token: '<'
Unexpected token: '}'
SyntaxError: Unexpected token o in JSON at position 1
parse error near unexpected token `done'
Authentication failed, token: expired
token: signature does not match
token: issued in the future
const token = await fetchToken()
if (token === undefined) return
self.token = self.renew()
this.token = null;
InvalidToken: the token is not yet valid
token: holder is not known here
Prompt tokens: 612, completion tokens: 80
max_tokens=2048 tokens=1,200 tokens: 14k
next page token is missing
token bucket holds 30 of 50
GET /oauth2/token 200 18ms
POST /v1/password-reset 202
api key lookup took 3 ms
Invalid API key
apiKeyRequired=true
no cookie in this request
cookies: none
Cookies accepted: yes
Set-Cookie header missing
secret santa starts on monday
Secret: false
secret: not found
Rotating 3 secrets
secrets manager answered in 41 ms
reading arn:aws:secretsmanager:us-east-1:210987654321:secret:shop/db-Qw3Rty
secret=arn:aws:secretsmanager:us-east-1:210987654321:secret:shop/db-Qw3Rty
valueFrom arn:aws:secretsmanager:us-east-1:210987654321:secret:shop/db-Qw3Rty:password::
arn:aws:lambda:us-east-1:210987654321:function:get-token:live
arn:aws-cn:lambda:cn-north-1:210987654321:layer:token:7
Authorization: none
Authorization: denied by policy 3
authorization failed for role reader
Bearer authentication required
Bearer token missing.
Basic validation passed
Basic authentication/authorization done
BASIC AUTHENTICATION is off
WWW-Authenticate: Basic realm="shop"
www-authenticate: Bearer error="invalid_token"
npm warn deprecated request@2.88.2
added vue@3.4.21, @types/node@20.11.5, next@v14.1.0 and eslint@9.0.0-beta.2
ssh deploy@10.20.30.40
git clone git@example.org:shop/api.git
asset logo@2x.png loaded
deployed shop/api@sha256:0f343b0931126a20f133d67c2b018a3b5f1c7a3c9d2e4b6a8c0d1e2f3a4b5c6d
@Autowired field injected at app@host
open http://localhost:5173/@vite/client
proxying http://cache:6379/items/a@b
see https://example.org/team/a:b@c
postgres://db.internal:5432/shop
missing one of ['password', 'email']
('token', 'expired')
required=["username","password"]
fields: ('id', 'password', 'email')
KeyError: 'token'
<input type="password" name="pw"/>
<label for="password">Password</label>
<password/> <token></token> <secret> </secret>
type <user> <password> to go on
usage: {'prompt_tokens': 11, 'tokens': {'in': 11, 'out': 30}}
START RequestId: 0f8fad5b-d9cb-469f-a165-70867728950e Version: 7
REPORT RequestId: 0f8fad5b-d9cb-469f-a165-70867728950e Duration: 3.10 ms Memory Size: 256 MB
x-amzn-trace-id: Root=1-67891233-abcdef012345678912345678;Sampled=1
timestamp 1795280947589 build 20261121180000
  File "/var/task/auth.py", line 40, in refresh_token
\x1b[32minfo\x1b[0m: \x1b[36mpassword\x1b[0m: \x1b[33mnull\x1b[0m
"""
OBJECTS: list[object] = [
    {"level": "INFO", "message": "placed", "order": {"id": 7731, "lines": [{"sku": "B-2", "qty": 1}]}},
    {"token": None, "secret": False, "password": "", "cookie": "none", "apiKey": {}, "tokens": []},
    {"hasPassword": True, "isTokenValid": False, "nextToken": None},
    {"passwords": 3, "tokens": 1200, "secrets": {"read": 4, "rotated": 1}, "cookies": True},
    {"usage": {"input_tokens": 300, "output_tokens": 12, "total_tokens": 312}},
    {"required": ["password", "email"]},
    {"missing": ["token", "clientSecret"]},
    ["token", "expired"],
    {"loc": ["body", "password"], "msg": "field required", "type": "missing"},
    {"loc": ["password", "length"], "msg": "too short"},
    {"field": "email", "value": "none", "path": "/email"},
    {"secretArn": "arn:aws:secretsmanager:us-east-1:210987654321:secret:shop/db-Qw3Rty"},
    {"dbSecret": "arn:aws:secretsmanager:us-east-1:210987654321:secret:shop/db-Qw3Rty"},
    {"message": "Bearer authentication failed"},
    {"code": "token: expired", "error_description": "The token expired"},
    {"token_type": "Bearer", "expires_in": 3600},
    {"ParameterKey": "Stage", "ParameterValue": "live"},
    {"name": "token", "type": "string", "in": "header"},
]
LINES: list[object] = [*(line for line in TEXTS.split("\n") if line), *OBJECTS]
LINES += [json.dumps(content) for content in OBJECTS]


@pytest.mark.parametrize("content", LINES, ids=lambda content: str(content)[:50])
def test_an_ordinary_line_stays_as_it_is(content: object) -> None:
    masker = build_masker([MaskSpec("here", name, rule=name) for name in BUILT_IN], False, [])
    assert masker is not None
    event = {"time": "2026-11-20T21:00:00.000Z", "type": "function", "record": content}
    raw = json.dumps(event)
    subject = Record(1, "2026-11-20T21:00:00.000Z", "function", event, raw)
    masker.mask(subject)
    assert subject.raw == raw
    assert masker.counts == {}


@pytest.mark.parametrize(
    "text",
    [
        "password: correct horse battery staple", "password: monkey", "password: Monkey is here", "password = letmein",
        "--password dragon", "--password SECRET", "password=changeme", "token: 42", "['--password', 'is']",
        "[('password', 'dragon'), ('user', 'bob')]", "password: hunter2 is not valid for carol", "password='required'",
        "password=(abc)", "password=abc(1)", "password: <abc>1", "password=$abc", "secret:prod", "tokens: abc",
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_taken_for_one(text: str) -> None:
    masker = build_masker([MaskSpec("here", "credentials", rule="credentials")], False, [])
    assert masker is not None
    assert "***" in masker.text(text)
