from __future__ import annotations

from support.imports import forbidden_after, modules_after

BUILD = (
    "from tailrace.destinations.registry import build_destinations\n"
    "from tailrace.config.settings import load_settings\n"
    "from tailrace.model.batch import Batch\n"
    "from tailrace.model.resource import Resource\n"
    "environ = {'TAILRACE_DESTINATIONS': %r, 'AWS_REGION': 'eu-west-1', 'AWS_ACCESS_KEY_ID': 'a',"
    " 'AWS_SECRET_ACCESS_KEY': 'b'}\n"
    "for one in build_destinations(environ, load_settings(environ)).destinations:\n"
    "    one.build_request(Batch([b'{}'], 1, 1, '2026-11-20T21:30:00.123Z'), Resource('f', 'e'), 0.0)\n"
)
ALL = "file:///tmp/x?compress=gzip stdout: s3://bucket https://h/x?tailrace-format=array"


def test_every_destination_builds_requests_without_what_costs_a_cold_start() -> None:
    assert forbidden_after(BUILD % ALL) == set()


def test_only_what_is_asked_for_is_loaded() -> None:
    loaded = modules_after(BUILD % "stdout:")
    assert "tailrace.destinations.stdout" in loaded
    assert not {"tailrace.destinations.s3", "tailrace.destinations.http", "tailrace.aws.sigv4", "zlib"} & loaded
    assert "zlib" not in modules_after(BUILD % "file:///tmp/x")
