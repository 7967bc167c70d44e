"""An S3-compatible server with authentication switched on: signatures and permissions are really checked.

with start_moto_s3() as s3:
    s3.endpoint, s3.bucket, s3.good_credentials, s3.client
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3

from tailrace.aws.credentials import Credentials

REGION = "us-east-1"
_START_LIMIT_S = 60
_CHILD = Path(__file__).with_name("moto_child.py")


class MotoS3:
    """A running server. `good_credentials` may put, get and list objects; `limited_credentials` may only list.

    `client` is boto3's, with the good credentials; `new_client` gives one with others.
    """

    def __init__(self, endpoint: str, bucket: str) -> None:
        self.endpoint = endpoint
        self.bucket = bucket
        self.region = REGION
        with closing(self._boto("iam", Credentials("setup", "setup"))) as iam:
            self.good_credentials = _make_user(iam, "writer", ["s3:*"])
            self.limited_credentials = _make_user(iam, "reader", ["s3:ListBucket"])
        with closing(self._boto("s3", Credentials("setup", "setup"))) as setup:
            setup.create_bucket(Bucket=bucket)
        self._switch_authentication_on()
        self.client = self.new_client(self.good_credentials)

    def new_client(self, credentials: Credentials) -> Any:
        return self._boto("s3", credentials)

    def environ(self, credentials: Credentials | None = None) -> dict[str, str]:
        """What a function's environment would hold to reach this server."""
        credentials = credentials or self.good_credentials
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        }

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        with closing(self.client.get_object(Bucket=self.bucket, Key=key)["Body"]) as body:
            data: bytes = body.read()
            return data

    def lines(self, prefix: str = "") -> list[Any]:
        """Every line of the objects below `prefix` that are not compressed, decoded, in the order of their keys."""
        return [json.loads(line) for key in sorted(self.keys(prefix)) for line in self.read(key).splitlines()]

    def _boto(self, service: str, credentials: Credentials) -> Any:
        return boto3.session.Session(
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            region_name=REGION,
        ).client(service, endpoint_url=self.endpoint)

    def _switch_authentication_on(self) -> None:
        request = urllib.request.Request(
            f"{self.endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert reply.status == 200


def _make_user(iam: Any, name: str, actions: list[str]) -> Credentials:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="allowed", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


@contextmanager
def start_moto_s3(bucket: str = "telemetry") -> Iterator[MotoS3]:
    """A server with one bucket, on a free port of the loopback interface; it ends with the context."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
    child = subprocess.Popen([sys.executable, str(_CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ)
    try:
        server = MotoS3(f"http://127.0.0.1:{_read_port(child)}", bucket)
        with closing(server.client):
            yield server
    finally:
        child.kill()
        child.communicate()


def _read_port(child: subprocess.Popen[bytes]) -> int:
    assert child.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        if not selector.select(_START_LIMIT_S):
            raise TimeoutError("moto did not start")
    line = child.stdout.readline()
    if not line:
        raise RuntimeError("moto ended before it listened")
    return int(line)
