from __future__ import annotations

from support.imports import forbidden_after


def test_config_imports_nothing_that_costs_a_cold_start() -> None:
    code = (
        "import tailrace.config.destinations, tailrace.config.headers, tailrace.config.urls, tailrace.config.wording\n"
        "from tailrace.config.settings import load_settings\n"
        "load_settings({'TAILRACE_TYPES': 'x', 'TAILRACE_HTTP_HEADERS': 'A: b'})"
    )
    assert forbidden_after(code) == set()
