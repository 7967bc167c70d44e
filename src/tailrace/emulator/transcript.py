"""Every fact and effect of a run in a file, one JSON object a line, written as it happens; and the same run again.

The first line is the head: the function, its policies, the plan of faults, when the run began. Each other line has
`ns`, nanoseconds since then, and one of `fact`, `effect` and `id` (an identifier that the machine drew), followed by
the fields of what it names. What follows from a fact stands below it. Secrets are masked.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TextIO

from tailrace.emulator.faults.machine import FaultyMachine
from tailrace.emulator.faults.plan import FaultPlan
from tailrace.emulator.faults.plan_file import plan_from_tables
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.identifiers import IDS
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.environment import Environment
from tailrace.emulator.masking import Masker
from tailrace.emulator.transcript_form import FACTS, Form, read_fields
from tailrace.errors import ConfigError

FORMAT = 1


def open_transcript(path: Path) -> TextIO:
    """The file of a transcript, for its owner's eyes only: masking knows secrets by their names and places, and those
    in what a function logs may have neither. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o600)  # it may have been there
        return os.fdopen(descriptor, "w", encoding="utf-8")
    except BaseException:
        os.close(descriptor)
        raise


class AnyMachine(Protocol):
    """With faults or without."""

    def handle(self, fact: facts.Fact, now_ns: int) -> Sequence[object]: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a machine is made of, apart from its identifiers. `plan` is None for one that knows no faults."""

    config: FunctionConfig
    api_address: str
    extension_variables: Mapping[str, str]
    plan: FaultPlan | None

    def make_machine(self, ids: Callable[[], str]) -> Environment | FaultyMachine:
        if self.plan is None:
            return Environment(self.config, ids, self.api_address, extra=self.extension_variables)
        at_once = replace(self.config.policy, freeze_after_ms=0)
        return FaultyMachine(
            Environment(self.config, ids, self.api_address, at_once, self.extension_variables), self.plan
        )


class Transcript:
    """Writes to `file`. A file that takes no more ends the transcript, never the run: see `failure`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._form: Form | None = None
        self._start_ns: int | None = None
        self._pending_ids: list[str] = []
        self._settings: Settings | None = None
        self.failure = ""

    def new_id(self) -> str:
        """An identifier for the machine, written down."""
        identifier = IDS.uuid()
        self._pending_ids.append(identifier)
        return identifier

    def begin(self, settings: Settings) -> None:
        """What the machine is made of. The head is written with the first fact, whose time is the run's begin."""
        self._settings = settings

    def note(self, fact: facts.Fact, effects: Sequence[object], now_ns: int) -> None:
        """One step of the machine."""
        if self._start_ns is None:
            self._write_head(now_ns)
        assert self._form is not None
        assert self._start_ns is not None
        ns = now_ns - self._start_ns
        lines = [{"ns": ns, "fact": type(fact).__name__, **self._form.fields(fact)}]
        lines += [{"ns": ns, "id": identifier} for identifier in self._pending_ids]
        lines += [{"ns": ns, "effect": type(effect).__name__, **self._form.fields(effect)} for effect in effects]
        self._pending_ids.clear()
        self._write(lines)

    def _write_head(self, now_ns: int) -> None:
        settings = self._settings
        assert settings is not None
        config = settings.config
        masker = Masker(config.environment, config.runtime_environment, secrets=config.credentials.values())
        self._start_ns = now_ns
        self._form = form = Form(masker, now_ns)
        plan = settings.plan
        head = {
            "transcript": FORMAT,
            "start_ns": now_ns,
            "function": form.fields(config),
            "api_address": settings.api_address,
            "extension_variables": {
                name: masker.value(name, text) for name, text in settings.extension_variables.items()
            },
            "faults": None if plan is None else {"seed": plan.seed, "faults": [f.as_table() for f in plan.faults]},
        }
        self._write([head])

    def _write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        if self.failure:
            return
        try:
            for line in lines:
                self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()
        except (OSError, ValueError) as error:
            self.failure = getattr(error, "strerror", None) or str(error)


class RecordingMachine:
    """Passes everything through and writes it down."""

    def __init__(self, inner: AnyMachine, transcript: Transcript) -> None:
        self._inner = inner
        self._transcript = transcript

    def handle(self, fact: facts.Fact, now_ns: int) -> Sequence[Any]:
        effects = self._inner.handle(fact, now_ns)
        self._transcript.note(fact, effects, now_ns)
        return effects


# reading


@dataclass(frozen=True, slots=True)
class Step:
    """A fact, when it came, and what followed from it, as written."""

    ns: int
    fact: facts.Fact
    effects: tuple[Mapping[str, Any], ...]
    line: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A transcript, read. `ids` are the machine's identifiers in order."""

    settings: Settings
    start_ns: int
    steps: tuple[Step, ...]
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay does something else: the line of the fact, and what followed from it then and now."""

    line: int
    fact: facts.Fact
    recorded: tuple[Mapping[str, Any], ...]
    replayed: tuple[Mapping[str, Any], ...]


def read_transcript(path: Path) -> Recording:
    """Raises `ConfigError`, which names the line, for a file that is no transcript. A last line that was cut off, by
    the end of the process that wrote it, is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    tables = [_table(path, number, line) for number, line in enumerate(lines, 1)]
    if not tables or tables[0].get("transcript") != FORMAT:
        raise ConfigError(str(path), "is no transcript", f"its first line has the member transcript with {FORMAT}")
    head, start_ns = tables[0], int(tables[0]["start_ns"])
    ids = tuple(str(table["id"]) for table in tables if "id" in table)
    return Recording(_settings(head), start_ns, tuple(_steps(path, tables, start_ns)), ids)


def _table(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        table = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{path}, line {number}", f"is not JSON: {error}") from None
    if not isinstance(table, dict):
        raise ConfigError(f"{path}, line {number}", "is no JSON object")
    return table


def _settings(head: Mapping[str, Any]) -> Settings:
    return Settings(
        read_fields(FunctionConfig, head["function"], 0),
        str(head["api_address"]),
        head["extension_variables"],
        plan_from_tables(head["faults"]) if head["faults"] is not None else None,
    )


def _steps(path: Path, tables: Sequence[Mapping[str, Any]], start_ns: int) -> Iterator[Step]:
    at = 1
    while at < len(tables):
        table, line = tables[at], at + 1
        kind = FACTS.get(str(table.get("fact")))
        if kind is None:
            raise ConfigError(f"{path}, line {line}", f"has no known fact: {table.get('fact')!r}")
        at += 1
        effects = []
        while at < len(tables) and "fact" not in tables[at]:
            if "effect" in tables[at]:
                effects.append(tables[at])
            at += 1
        yield Step(int(table["ns"]), read_fields(kind, table, start_ns), tuple(effects), line)


def replay(recording: Recording) -> Difference | None:
    """Give the facts to a fresh machine. The first difference of its effects, or None where they are the very same."""
    ids = iter(recording.ids)
    machine = recording.settings.make_machine(lambda: next(ids, "none left"))
    form = Form(Masker(), recording.start_ns)
    for step in recording.steps:
        effects = machine.handle(step.fact, recording.start_ns + step.ns)
        written = [{"ns": step.ns, "effect": type(effect).__name__, **form.fields(effect)} for effect in effects]
        replayed = tuple(json.loads(json.dumps(written)))
        if replayed != step.effects:
            return Difference(step.line, step.fact, step.effects, replayed)
    return None
