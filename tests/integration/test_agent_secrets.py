"""What is secret stays so: nothing of it in any line, ledger or file of the agent, whatever goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.agent_process import AgentProcess
from support.fake_lambda_api import FakeLambdaApi
from support.telemetry import invocation

SECRET = "Zk3-very-secret"
KEY = "AKIAVERYSECRET"


@pytest.mark.parametrize(
    "settings",
    [
        {"TAILRACE_DESTINATIONS": f"http://user:{SECRET}@127.0.0.1:1/in?token={SECRET}"},
        {
            "TAILRACE_DESTINATIONS": f"http://{SECRET}@127.0.0.1:1/ https://x:{SECRET}@127.0.0.1:1/{SECRET}1234567890abcdef"
        },
        {"TAILRACE_DESTINATIONS": f"htp://user:{SECRET}@host/ http://user:{SECRET}@:80/ //user:{SECRET}@host {SECRET}"},
        {
            "TAILRACE_DESTINATIONS": f"http://user:{SECRET}@host:99999/ s3://user:{SECRET}@bucket-x s3://b-x?key={SECRET}"
        },
        {"TAILRACE_DESTINATIONS": f"http://127.0.0.1:1/?tailrace-token={SECRET} http://127.0.0.1:1/#{SECRET}"},
        {"TAILRACE_DESTINATIONS": "http://127.0.0.1:1/", "TAILRACE_HTTP_HEADERS": f"Authorization: Bearer {SECRET}"},
        {
            "TAILRACE_DESTINATIONS": "http://127.0.0.1:1/",
            "TAILRACE_HTTP_HEADERS": f"{SECRET}\nX: {SECRET}\u00e9\n: {SECRET}",
        },
        {"S3_BUCKET_NAME": f"bucket {SECRET}"},
        {"S3_BUCKET_NAME": "bucket-x", "AWS_ENDPOINT_URL_S3": f"http://user:{SECRET}@127.0.0.1:1"},
        {"S3_BUCKET_NAME": "bucket-x", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "AWS_SECRET_ACCESS_KEY": SECRET},
        {
            "S3_BUCKET_NAME": "bucket-x",
            "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": f"{SECRET}\u00e9",
        },
        {
            "S3_BUCKET_NAME": "bucket-x",
            "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": SECRET,
        },
    ],
)
def test_no_secret_is_ever_said(opt: Path, api: FakeLambdaApi, settings: dict[str, str]) -> None:
    with AgentProcess(opt, api.address, {"TAILRACE_END_WAIT_MS": "100", **settings}) as agent:
        api.invoke("request-1", timeout_s=60)
        api.post_telemetry(invocation("request-1", "a line"))
        api.wait_for_next(2)
        api.shutdown()
        assert agent.exit_code() == 0
        rows = agent.ledger()
    assert all(row["received"] == sum(row["dropped"].values()) == 3 for row in rows.values())
    for secret in (SECRET, SECRET[4:], KEY, "Bearer"):
        assert secret.encode() not in agent.output
