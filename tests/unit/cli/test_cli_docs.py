"""The documentation cannot drift: the page of commands is what the commands say, and links lead somewhere."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tailrace.config.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[3]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]


def test_the_page_of_commands_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "command_line_page.py"))

    assert script["PAGE"].read_text() == script["page"](), "run scripts/command_line_page.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())

    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_every_setting_of_the_agent_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()

    assert [name for name in SETTINGS if name not in page] == []
