"""How many lines a second one core masks: with no mask, with one, with several, with all built-in ones.

    python benchmarks/masking.py [--lines 20000]

Masking alone is measured, with the record's text and its decoded value at hand, as the agent has them.
"""

from __future__ import annotations

import argparse
import json
import time

from tailrace.config.tables import MaskSpec
from tailrace.model.record import Record
from tailrace.processors.mask import build_masker
from tailrace.processors.mask_rules import BUILT_IN

TIME = "2026-11-20T21:00:00.000Z"
CONTENTS: dict[str, object] = {
    "plain text": "2026-11-20T21:00:00.000Z INFO order 7731 shipped to warehouse 12 after 31 ms",
    "plain text, a secret": "2026-11-20T21:00:00.000Z INFO connecting with password=hunter2x to db.internal:5432",
    "JSON": {"level": "INFO", "message": "shipped", "order": 7731, "warehouse": "w-12", "ms": 31, "ok": True},
    "nested JSON": {
        "level": "INFO",
        "order": {
            "id": 7731,
            "lines": [{"sku": f"B-{n}", "qty": n, "price": 9.5, "tags": ["a", "b"]} for n in range(6)],
        },
        "customer": {"id": "c-991", "address": {"city": "Bern", "zip": "3000"}},
    },
    "nested JSON, a secret": {
        "level": "INFO",
        "order": {
            "id": 7731,
            "lines": [{"sku": f"B-{n}", "qty": n, "price": 9.5, "tags": ["a", "b"]} for n in range(6)],
        },
        "customer": {"id": "c-991", "mail": "bob@example.com", "auth": {"apiKey": "hunter2x"}},
    },
}
RULES: dict[str, tuple[str, ...]] = {
    "credentials": ("credentials",),
    "credentials, email": ("credentials", "email"),
    "all": BUILT_IN,
}


def lines_a_second(content: object, rules: tuple[str, ...], n_lines: int) -> float:
    event = {"time": TIME, "type": "function", "record": content}
    raw = json.dumps(event, separators=(",", ":"))
    records = [Record(seq, TIME, "function", event, raw) for seq in range(n_lines)]
    masker = build_masker([MaskSpec("benchmark", rule, rule=rule) for rule in rules], False, [])
    if masker is None:
        raise ValueError(f"no such rules: {rules}")
    began_s = time.perf_counter()
    for record in records:
        masker.mask(record)
    return n_lines / (time.perf_counter() - began_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=20_000)
    n_lines = parser.parse_args().lines
    print(f"{'lines a second':<24}" + "".join(f"{name:>20}" for name in RULES))
    for name, content in CONTENTS.items():
        rates = [lines_a_second(content, rules, n_lines) for rules in RULES.values()]
        print(f"{name:<24}" + "".join(f"{rate:>20,.0f}" for rate in rates))


if __name__ == "__main__":
    main()
