"""The picture at the end of a run: one row a phase, to one scale. Plain lines where nobody looks."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from tailrace.cli.figures import bar, duration, shortened
from tailrace.cli.story import FrozenPart, InitPart, InvokePart, Part, ShutdownPart, Story

BAR_WIDTH = 28
LABEL_WIDTH = 10
RESULT_WIDTH = 48


def waterfall(story: Story, pictures: bool) -> Iterator[Text]:
    """The rows of `story`. With `pictures`, bars stand between label and duration."""
    longest_ms = max((_milliseconds(part) for part in story.parts if not isinstance(part, FrozenPart)), default=1.0)
    number = 0
    for part in story.parts:
        if isinstance(part, InvokePart):
            number += 1
        yield _row(part, number, longest_ms if pictures else None)


def invocation_line(part: InvokePart, number: int) -> Text:
    """The row of one invocation alone, without a bar."""
    return _row(part, number, None)


def plain_invocation_line(part: InvokePart, number: int) -> str:
    """The same for where nobody looks: rich takes longer to lay out a line than a quick function to run."""
    details = "".join([text for text, _ in _invoke_details(part)])
    return f"  {_label(part, number):{LABEL_WIDTH}}{duration(_milliseconds(part)):>7}   {details}"


def _row(part: Part, number: int, longest_ms: float | None) -> Text:
    if isinstance(part, FrozenPart):
        mark = "❄ " if longest_ms is not None else ""
        return Text(f"  {'':{LABEL_WIDTH}}{mark}frozen {duration(part.duration_ms)}", style="cyan dim")
    row = Text(f"  {_label(part, number):{LABEL_WIDTH}}")
    if longest_ms is not None:
        row.append(bar(_milliseconds(part) / longest_ms, BAR_WIDTH) + " ", style=_colour(part))
    row.append(f"{duration(_milliseconds(part)):>7}   ")
    row.append_text(_details(part))
    return row


def _milliseconds(part: Part) -> float:
    return part.report.duration_ms if isinstance(part, InvokePart) else part.duration_ms


def _label(part: Part, number: int) -> str:
    if isinstance(part, InitPart):
        return "init" if part.phase == "init" else "  init"
    return f"invoke {number}" if isinstance(part, InvokePart) else "shutdown"


def _colour(part: Part) -> str:
    if isinstance(part, InvokePart):
        return "green" if part.status == "success" else "red"
    if isinstance(part, InitPart):
        return "yellow" if part.status == "success" else "red"
    return "blue"


def _details(part: Part) -> Text:
    if isinstance(part, InitPart):
        return _init_details(part)
    if isinstance(part, InvokePart):
        return Text.assemble(*_invoke_details(part))
    assert isinstance(part, ShutdownPart)
    return Text(part.reason)


def _init_details(part: InitPart) -> Text:
    ready = [f"{name.removeprefix('ext:')} ready {duration(ms)}" for name, ms in part.ready_ms.items()]
    text = Text("   ".join(ready))
    if part.status != "success":
        text = Text(f"{part.status} {part.error_type}".strip() + "   ", style="red") + text
    return text


def _invoke_details(part: InvokePart) -> Iterator[tuple[str, str]]:
    """Pieces of text with the style of each."""
    report = part.report
    failed = part.status != "success"
    if report.init_duration_ms is not None:
        yield "cold", "yellow"
        yield " · ", ""
    if failed:
        yield "failed", "red bold"
        yield " · ", ""
    yield f"billed {report.billed_duration_ms} ms · {report.max_memory_used_mb} MB   ", ""
    yield result_in_short(part), "red" if failed else ""


def result_in_short(part: InvokePart) -> str:
    """The payload, or the error's type and message, on one short line."""
    if part.status != "success" and isinstance(document := part.document, dict):
        words = [str(document[key]) for key in ("errorType", "errorMessage") if document.get(key)]
        return shortened(": ".join(words), RESULT_WIDTH)
    return shortened(part.answer.payload.decode(errors="replace"), RESULT_WIDTH)
