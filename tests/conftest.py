"""What all tests share, before the first of them is collected."""

from __future__ import annotations

from support import examples

examples.register()
