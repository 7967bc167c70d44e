from __future__ import annotations

from support.imports import FORBIDDEN, modules_after_importing, modules_of

# loaded only where a mask or a filter has a pattern
_MASKS = ("mask", "mask_colours", "mask_json", "mask_names", "mask_plain", "mask_rules", "mask_values")
_MODULES = (*_MASKS, "pattern_sets", "patterns")
WITH_PATTERNS = {f"tailrace.processors.{name}" for name in _MODULES}


def test_nothing_that_costs_a_cold_start_is_imported() -> None:
    names = [name for name in modules_of("processors") if name not in WITH_PATTERNS]
    assert names
    loaded = modules_after_importing(*names)
    assert set(names) <= loaded
    assert loaded & FORBIDDEN == set()
