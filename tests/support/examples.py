"""How many examples a property test tries: enough to see its property in the daily run, many more when asked for.

`pytest --hypothesis-profile=thorough` asks for more, of the tests that are given `examples` and of all others.
"""

from __future__ import annotations

from hypothesis import settings

THOROUGH = "thorough"
_MORE = 10


def register() -> None:
    """Make the profile known; before any test is collected."""
    settings.register_profile(THOROUGH, max_examples=1000, deadline=None)


def examples(number: int) -> settings:
    """For a test of whose examples each takes a while: `number` of them, or ten times as many."""
    more = _MORE if settings.get_current_profile_name() == THOROUGH else 1
    return settings(max_examples=number * more, deadline=None)
