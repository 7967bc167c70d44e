"""The platform's lines in a function's log stream, written and read (lambda-platform.md 8.1)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def init_start_line(runtime_version: str, runtime_version_arn: str) -> str:
    return f"INIT_START Runtime Version: {runtime_version}\tRuntime Version ARN: {runtime_version_arn}"


def start_line(request_id: str, version: str) -> str:
    return f"START RequestId: {request_id} Version: {version}"


def end_line(request_id: str) -> str:
    return f"END RequestId: {request_id}"


def report_line(
    request_id: str,
    duration_ms: float,
    billed_duration_ms: int,
    memory_size_mb: int,
    max_memory_used_mb: int,
    init_duration_ms: float | None = None,
    status: str = "success",
    error_type: str = "",
) -> str:
    """A tab ends every figure; what failed follows them, and the init duration stands before it."""
    line = (
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\tBilled Duration: {billed_duration_ms} ms\t"
        f"Memory Size: {memory_size_mb} MB\tMax Memory Used: {max_memory_used_mb} MB\t"
    )
    if init_duration_ms is not None:
        line += f"Init Duration: {init_duration_ms:.2f} ms\t"
    return line + _status_cells(status, error_type)


def init_report_line(duration_ms: float, phase: str, status: str = "success", error_type: str = "") -> str:
    """Of an init that succeeded only its duration is told (lambda-platform.md 8.1)."""
    line = f"INIT_REPORT Init Duration: {duration_ms:.2f} ms"
    cells = _status_cells(status, error_type)
    return f"{line}\tPhase: {phase}\t{cells}" if cells else line


def _status_cells(status: str, error_type: str) -> str:
    if status == "success":
        return ""
    return f"Status: {status}" + (f"\tError Type: {error_type}" if error_type else "")


def extension_line(name: str, state: str, events: Iterable[str], error_type: str = "") -> str:
    line = f"EXTENSION\tName: {name}\tState: {state}\tEvents: [{', '.join(events)}]"
    return line + (f"\tError Type: {error_type}" if error_type else "")


def telemetry_line(name: str, types: Iterable[str]) -> str:
    return f"TELEMETRY\tName: {name}\tState: Subscribed\tTypes: [{', '.join([kind.capitalize() for kind in types])}]"


def logs_line(name: str, types: Iterable[str]) -> str:
    return f"LOGS\tName: {name}\tState: Subscribed\tTypes: [{', '.join([kind.capitalize() for kind in types])}]"


def xray_line(trace_id: str, segment_id: str, sampled: bool) -> str:
    return f"XRAY TraceId: {trace_id}\tSegmentId: {segment_id}\tSampled: {'true' if sampled else 'false'}\t"


KINDS = (
    "INIT_START",
    "START",
    "END",
    "REPORT",
    "INIT_REPORT",
    "RESTORE_START",
    "RESTORE_REPORT",
    "EXTENSION",
    "TELEMETRY",
    "LOGS",
    "XRAY",
)


class LogLine:
    """A platform line, read: its first word and its named cells, for example ``{"Duration": "3.01 ms"}``."""

    __slots__ = ("fields", "kind")

    def __init__(self, kind: str, fields: dict[str, str]) -> None:
        self.kind = kind
        self.fields = fields

    def number(self, name: str) -> float | None:
        """A figure without its unit, or None where the cell is absent or no figure."""
        figure = self.fields.get(name, "").partition(" ")[0]
        try:
            return float(figure)
        except ValueError:
            return None

    def names(self, name: str) -> tuple[str, ...]:
        """A list cell: ``[INVOKE, SHUTDOWN]``, with or without the blank after the comma."""
        text = self.fields.get(name, "").strip("[]")
        return tuple([item.strip() for item in text.split(",") if item.strip()])


def parse_line(text: str) -> LogLine | None:
    """Read a platform line, or None where it is none: a function may print anything that looks similar."""
    text = text.rstrip("\r\n")
    cells = text.split("\t")
    kind, blank, first = cells[0].partition(" ")
    if kind not in KINDS:
        return None
    cells[0] = first
    if kind == "START":
        request, version, rest = first.partition(" Version: ")
        cells[:1] = [request, f"Version: {rest}"] if version else [request]
    fields: dict[str, str] = {}
    for cell in cells:
        if not cell:
            continue
        name, colon, value = cell.partition(": ")
        if not colon:
            return None
        fields[name] = value
    return LogLine(kind, fields) if fields and (blank or not first) else None
