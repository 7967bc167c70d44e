from __future__ import annotations

from support.imports import FORBIDDEN, modules_after_importing, modules_of


def test_nothing_that_costs_a_cold_start_is_imported() -> None:
    names = modules_of("receivers")
    assert names
    loaded = modules_after_importing(*names)
    assert set(names) <= loaded
    assert loaded & FORBIDDEN == set()
