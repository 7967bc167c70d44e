"""Where people look and where they do not: colour, pictures, and who has asked for plain text."""

from __future__ import annotations

import pytest

from tailrace.cli.screen import new_console


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_whoever_asks_for_plain_text_gets_neither_colour_nor_pictures_even_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv(name, value)

    console = new_console()

    assert not console.is_terminal
    with console.capture() as captured:
        console.print("text", style="bold red")
    assert captured.get() == "text\n"


def test_an_empty_no_color_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "")

    assert new_console().is_terminal
