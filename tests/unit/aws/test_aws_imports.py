from __future__ import annotations

from support.imports import forbidden_after, modules_after

IMPORTS = "import tailrace.aws.endpoints\nfrom tailrace.aws import credentials, sigv4\n"
SIGN = (
    "keys = credentials.environment_credentials({'AWS_ACCESS_KEY_ID': 'a', 'AWS_SECRET_ACCESS_KEY': 'b'})\n"
    "sigv4.signed_headers('PUT', 'h', '/', [], [], sigv4.sha256(b''), keys, 'us-east-1', 's3', 0.0)"
)


def test_signing_imports_nothing_that_costs_a_cold_start() -> None:
    assert forbidden_after(IMPORTS + SIGN) == set()


def test_the_hash_is_loaded_with_the_first_signature_only() -> None:
    assert not {"_hashlib", "hashlib", "hmac"} & modules_after(IMPORTS)
    assert not {"hmac", "warnings"} & modules_after(IMPORTS + SIGN)
