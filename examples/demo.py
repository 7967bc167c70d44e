"""The main job on one screen: a function runs in a local Lambda environment, its telemetry lands in two places.

Usage: make demo. Builds the very layer that would be uploaded, starts an S3-compatible server, runs the shop of
`examples/python` three times with a frozen second between, and counts what landed where. Ends with an error when
a single record is missing.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TAILRACE = Path(sys.executable).with_name("tailrace")
LAYER = ROOT / "build" / "tailrace-layer.zip"
FOLDER = ROOT / "demo-out"
BUCKET = "telemetry"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"}


def main() -> int:
    os.chdir(ROOT)
    shutil.rmtree(FOLDER, ignore_errors=True)
    with step("building the layer"):
        build_layer()
    with step("starting an S3-compatible server"):
        endpoint, client = start_s3()
    print("demo: a shop that has two kettles is asked for three\n", flush=True)
    document = run_the_function(endpoint)
    if document is None:
        return 1
    landed = {"folder": count_in_folder(), "bucket": count_in_bucket(client)}
    tell_where(landed)
    sys.stdout.flush()
    return check(document["ledger"], landed)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    print(f"demo: {what} ... ", end="", flush=True)
    started = time.monotonic()
    yield
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def build_layer() -> None:
    LAYER.parent.mkdir(exist_ok=True)
    command = [str(TAILRACE), "layer", "build", "-o", str(LAYER)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit("failed\n" + result.stdout + result.stderr)


def start_s3() -> tuple[str, Any]:
    """Moto's server on a free port of this machine, with one bucket; returns its address and a client."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "demo", "aws_secret_access_key": "demo"}
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    client.create_bucket(Bucket=BUCKET)
    return endpoint, client


def run_the_function(endpoint: str) -> dict[str, Any] | None:
    """Run the shop; what a person sees goes to the screen, the JSON document comes back."""
    variables = {
        "TAILRACE_DESTINATIONS": f"file://{FOLDER} s3://{BUCKET}",
        "AWS_ENDPOINT_URL_S3": endpoint,
        **CREDENTIALS,
    }
    command = [str(TAILRACE), "run", "app.handler", "--code", "examples/python", "--layer", str(LAYER)]
    command += ["--invocations", "3", "--pause", "1", "--json"]
    for name, value in variables.items():
        command += ["--env", f"{name}={value}"]
    result = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    # The shop is sold out at the third invocation: exit code 1 says that a function failed.
    if result.returncode not in (0, 1) or not result.stdout:
        print(f"demo: tailrace run ended with exit code {result.returncode}", file=sys.stderr)
        return None
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def count_in_folder() -> dict[str, list[str]]:
    """The lines of each file, by its path."""
    return {str(path.relative_to(ROOT)): path.read_text().splitlines() for path in sorted(FOLDER.rglob("*.ndjson"))}


def count_in_bucket(client: Any) -> dict[str, list[str]]:
    """The lines of each object, by its URL."""
    lines = {}
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        body = client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
        lines[f"s3://{BUCKET}/{item['Key']}"] = body.decode().splitlines()
    return lines


def tell_where(landed: dict[str, dict[str, list[str]]]) -> None:
    print("\n  what landed where")
    for place, files in landed.items():
        total = sum(map(len, files.values()))
        print(f"    {place}: {total} lines in {len(files)} {'files' if place == 'folder' else 'objects'}")
        for name, lines in files.items():
            print(f"      {len(lines):>3}  {name}")
    fullest = max(landed["folder"], key=lambda name: len(landed["folder"][name]), default="demo-out")
    print(f"\n  look at it:  head -3 '{fullest}'")
    print("  try next:    .venv/bin/tailrace run --help")


def check(ledger: dict[str, Any] | None, landed: dict[str, dict[str, list[str]]]) -> int:
    """The count that proves it: each line is valid JSON, and there are as many as the ledger says."""
    if ledger is None:
        print("demo: the agent left no ledger", file=sys.stderr)
        return 1
    counted = sorted(len([json.loads(line) for lines in files.values() for line in lines]) for files in landed.values())
    rows = [row for row in ledger.values() if isinstance(row, dict)]
    if counted != sorted(row["delivered"] for row in rows) or any(row["received"] != row["delivered"] for row in rows):
        print(f"demo: {counted} lines were found, the ledger says {ledger}", file=sys.stderr)
        return 1
    print(f"\n  {counted[0]} records received, {counted[0]} found at each destination: nothing was lost.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
