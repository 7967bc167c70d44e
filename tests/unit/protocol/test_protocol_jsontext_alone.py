"""Malformed JSON in a process that has never imported `json`, as the agent is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tailrace

ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from tailrace.protocol.events import split_events
from tailrace.protocol.jsontext import loads, scan, scan_string, scan_tolerant
assert "json" not in sys.modules
whole = b'{"type":"function","record":"whole"}'
for tail in (b'{"record":"cut in the mid}]', b'{"record":"bad \\\\u12"}]', b'{"record" 1}]', b'{"a":1,}]', b'{"a":'):
    split = split_events(b"[" + whole + b"," + tail)
    assert split.events[0].value["record"] == "whole", split.events
    assert split.unparsable_bytes or len(split.events) == 2, (tail, split.events)
for read in (loads, lambda text: scan(text, 0), lambda text: scan_tolerant(text, 0), lambda text: scan_string(text, 1)):
    try:
        read('{"a" "b')
        read('"never closed')
    except ValueError:
        continue
    raise AssertionError(read)
"""


def test_malformed_text_is_an_error_and_no_fault() -> None:
    source = Path(tailrace.__file__).parents[1]
    subprocess.run([sys.executable, "-I", "-S", "-c", ALONE, str(source)], check=True, timeout=60)
