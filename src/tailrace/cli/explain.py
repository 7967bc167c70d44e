"""`tailrace explain`: what each destination would receive, byte for byte."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tailrace.cli.agent_view import AgentView
    from tailrace.cli.explaining import EventStory, Explanation
    from tailrace.config.destinations import DestinationSpec
    from tailrace.pipeline.interfaces import Request

EXAMPLES = """\b
Examples:
  tailrace explain events.json --env TAILRACE_DESTINATIONS=https://logs.example.com/in
  tailrace explain events.ndjson --config src/tailrace.toml --json
"""

# Names of headers whose values say nothing that anybody could use.
PLAIN_HEADERS = frozenset(
    (
        "host", "content-type", "content-length", "content-encoding", "user-agent", "idempotency-key",
        "x-amz-content-sha256", "x-amz-date", "x-amz-checksum-sha256", "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
    )
)  # fmt: skip


@click.command("explain", epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("events", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--env", "variables", multiple=True, metavar="K=V", help="A variable; K alone copies it from here.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The agent's configuration file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(events: Path, variables: tuple[str, ...], config_file: Path | None, as_json: bool) -> int:
    """Show what each destination would receive, byte for byte, and what is left out, masked and attributed.

    EVENTS is a JSON array of telemetry events, or one event a line; - reads standard input. The agent's own code
    does it all, up to the wire and not onto it. Bodies are shown before compression (--json has the bytes on the wire,
    too, in base64), secrets in URLs and headers are masked. Queues have room for everything here. With
    TAILRACE_LEDGER=record the last request is the ledger's own record, as at the end of the agent's process. The
    environment's id is all zeros; dates and signatures are of this moment. Exit code 2 when a setting is wrong.
    """
    import json
    import os

    from tailrace.cli.agent_view import AgentView
    from tailrace.cli.errors import say_warning
    from tailrace.cli.explaining import Explainer
    from tailrace.cli.inputs import read_variables
    from tailrace.clock import SystemClock

    body = read_events(events)
    view = AgentView(config_file, read_variables(variables, os.environ), os.environ)
    found = Explainer(view, SystemClock()).explain(body)
    if as_json:
        click.echo(json.dumps(document(view, found), indent=2))
    else:
        for line in lines(view, found):
            click.echo(line)
    for problem in view.problems:
        say_warning(str(problem))
    for warning in view.warnings:
        say_warning(warning)
    return 2 if view.problems else 0


def read_events(events: Path) -> bytes:
    """The bytes of a file, or of standard input. Raises `UsageError`."""
    from tailrace.errors import UsageError

    try:
        body = sys.stdin.buffer.read() if str(events) == "-" else events.read_bytes()
    except OSError as error:
        raise UsageError(str(events), f"cannot be read ({error.strerror})", "give a file of events") from None
    if not body.strip():
        raise UsageError(str(events), "it is empty", "write a JSON array of telemetry events, or one event a line")
    return body


def document(view: AgentView, found: Explanation) -> dict[str, object]:
    """The JSON document: the configuration `file`, `events`, `destinations` with their `requests`, `ledger`,
    `unparsableBytes`, `damagedLines`, `notes`, `problems`."""
    from tailrace.cli.agent_view import problem_objects

    return {
        "file": view.path,
        "events": [_event(story) for story in found.events],
        "destinations": [
            {"name": spec.name, "requests": [request_object(spec, r) for r in found.requests.get(spec.name, [])]}
            for spec in view.built.specs
        ],
        "ledger": found.ledger,
        "unparsableBytes": found.unparsable_bytes,
        "damagedLines": found.damaged_lines,
        "notes": notes(view),
        "problems": problem_objects(view.problems),
    }


def notes(view: AgentView) -> list[str]:
    """What is not as it will be on Lambda."""
    if view.has_no_credentials and any(spec.scheme == "s3" for spec in view.built.specs):
        return [
            "no AWS credentials are set here (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY): requests to S3 are signed with"
            " made-up ones, with a session token as the function's own have"
        ]
    return []


def _event(story: EventStory) -> dict[str, object]:
    return {
        "seq": story.seq,
        "type": story.type,
        "requestId": story.request_id,
        "severity": story.severity,
        "masked": story.masked,
        "destinations": story.outcomes,
    }


def lines(view: AgentView, found: Explanation) -> Iterator[str]:
    """The same for people."""
    if view.path is not None:
        yield f"file: {view.path}"
        yield ""
    for story in found.events:
        masked = "".join(f", masked {n} {name}" for name, n in story.masked.items())
        yield (
            f"event {story.seq}  {story.type or 'of no type'}  request {story.request_id or 'unknown'}"
            f", severity {story.severity or 'unknown'}{masked}"
        )
        for name, outcome in story.outcomes.items():
            yield f"  {name}: {outcome}"
    for number in found.damaged_lines:
        yield f"line {number} is not JSON: one record, dropped (unparsable)"
    if found.unparsable_bytes and not found.damaged_lines:
        yield f"{found.unparsable_bytes} bytes at the end are not JSON: one record, dropped (unparsable)"
    for note in notes(view):
        yield f"note: {note}"
    for spec in view.built.specs:
        requests = found.requests.get(spec.name, [])
        yield ""
        yield f"{spec.name}: {len(requests)} {'request' if len(requests) == 1 else 'requests'}"
        for request in requests:
            yield from _request_lines(request_object(spec, request))


def _request_lines(shown: dict[str, object]) -> Iterator[str]:
    yield ""
    yield f"{shown['method']} {shown['url']}"
    if shown["object"]:
        yield f"(the object {shown['object']})"
    headers = shown["headers"]
    assert isinstance(headers, list)
    for name, value in headers:
        yield f"{name}: {value}"
    if shown["wire"]:
        yield f"(gzip: {shown['bytes']} bytes on the wire, {shown['bytesBeforeCompression']} before it)"
    yield ""
    yield str(shown["body"]).removesuffix("\n")


def request_object(spec: DestinationSpec, request: Request) -> dict[str, object]:
    """One request: `method`, `url` and `headers` without secrets, the `object` that it makes (S3), `body` before
    compression, `bytes` on the wire and, where it is compressed, the `wire`'s bytes in base64."""
    from base64 import b64encode

    from tailrace.config.urls import MASK, masked_path
    from tailrace.pipeline.messages import FileRequest, HttpRequest
    from tailrace.pipeline.wire.http_connection import encode_head

    headers: list[list[str]] = []
    if isinstance(request, HttpRequest):
        method, url = request.method, _shown_url(spec, request)
        for line in encode_head(request).decode("latin-1").split("\r\n")[1:]:
            name, colon, value = line.partition(": ")
            if colon:
                headers.append([name, value if name.lower() in PLAIN_HEADERS else MASK])
    elif isinstance(request, FileRequest):
        method, url = "WRITE", f"file://{masked_path(request.path, mask_tokens=False)}"
    else:
        method, url = "WRITE", "stdout:"
    body = plain_body(request.body)
    return {
        "method": method,
        "url": url,
        "headers": headers,
        "body": body.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode(),
        "bytes": len(request.body),
        "bytesBeforeCompression": len(body),
        "object": _object_of(spec, request),
        "wire": b64encode(request.body).decode() if body != request.body else None,
    }


def _object_of(spec: DestinationSpec, request: Request) -> str | None:
    """The object in S3 that a request makes, as people write it."""
    from tailrace.config.urls import decode, masked_path
    from tailrace.pipeline.messages import HttpRequest

    if spec.scheme != "s3" or not isinstance(request, HttpRequest):
        return None
    bucket, path = spec.url.host, decode(request.target)
    key = path[1:] if request.host.startswith(f"{bucket}.") else path.partition(f"/{bucket}/")[2]
    return f"s3://{bucket}/{masked_path(key, mask_tokens=False)}"


def _shown_url(spec: DestinationSpec, request: object) -> str:
    from tailrace.config.urls import parse_url, without_secrets
    from tailrace.destinations.registry import SCHEMES
    from tailrace.pipeline.messages import HttpRequest

    assert isinstance(request, HttpRequest)
    host = f"[{request.host}]" if ":" in request.host else request.host
    port = "" if request.port == (443 if request.tls else 80) else f":{request.port}"
    url = f"{'https' if request.tls else 'http'}://{host}{port}{request.target}"
    return without_secrets(parse_url(url, spec.setting), mask_path=SCHEMES[spec.scheme].secret_path)


def plain_body(body: bytes) -> bytes:
    """The body as it was before it was compressed."""
    import gzip

    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
