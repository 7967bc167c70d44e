"""Destinations as a user would ask for them, with what each must never tell, and records to send through them."""

from __future__ import annotations

from tailrace.config.settings import load_settings
from tailrace.destinations.registry import build_destinations
from tailrace.model.batch import Batch
from tailrace.model.record import Record
from tailrace.model.resource import Resource
from tailrace.pipeline.interfaces import Destination

WALL_S = 1_795_210_200.123  # 2026-11-20T21:30:00.123Z
START = "2026-11-20T21:30:00.123Z"
RESOURCE = Resource("orders", "2026/11/20/[$LATEST]0123abcd")
SECRETS = ("AKIDEXAMPLE", "wJalrXUtnFEMI", "sessionTOKEN", "hunter2", "topsecretheader", "ZaVnC4dhaV3abcdefghij1234")
ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
    "AWS_SESSION_TOKEN": "sessionTOKEN",
    "AWS_REGION": "eu-west-1",
    "TAILRACE_HTTP_HEADERS": "X-Api-Key: topsecretheader",
}
URLS = (
    "file:///tmp/tailrace-out",
    "file:///tmp/tailrace-out?compress=gzip",
    "stdout:",
    "s3://telemetry",
    "s3://telemetry/a/b?compress=gzip&sse=aws:kms&sse-kms-key-id=alias/logs",
    "s3://telemetry?endpoint=http://127.0.0.1:9000",
    "http://user:hunter2@logs.example/in?token=hunter2",
    "https://logs.example/v1/http/ZaVnC4dhaV3abcdefghij1234?tailrace-format=array&tailrace-compress=gzip",
)


def build(url: str, **environ: str) -> Destination:
    """The one destination of `url`, in an environment with secrets."""
    complete = {**ENVIRON, "TAILRACE_DESTINATIONS": url, **environ}
    built = build_destinations(complete, load_settings(complete))
    assert built.problems == []
    return built.destinations[0]


def record(seq: int, message: str = "hello", time: str = START) -> Record:
    raw = f'{{"time":"{time}","type":"function","record":"{message}"}}'
    result = Record(seq, time, "function", {"time": time, "type": "function", "record": message}, raw)
    result.request_id = "8286a188-ba32-4475-8077-530cd35c09a9"
    return result


def batch(destination: Destination, records: list[Record], resource: Resource = RESOURCE) -> Batch:
    parts = [destination.encode_record(one, resource) for one in records]
    return Batch(parts, records[0].seq, records[-1].seq, records[0].time)
