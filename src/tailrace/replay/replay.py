"""Going through a place: what is there, what is wanted, what was done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from tailrace.model.batch import Batch
from tailrace.pipeline.dead_letters.envelope import name_without_number
from tailrace.replay.courier import Courier, Delivery
from tailrace.replay.envelope import Envelope
from tailrace.replay.places import Place, StoredFile
from tailrace.replay.reading import FileContents, read_file
from tailrace.replay.selection import Selection
from tailrace.replay.targets import Target, Targets

CONFIRMED = "confirmed"
PENDING = "pending"
DELIVERED = "delivered"
REFUSED = "refused"
NOT_SENT = "notSent"
NO_TARGET = "noTarget"


@dataclass(frozen=True)
class Handled:
    """One envelope that was wanted, where it goes (empty: nowhere), and what became of it: one of the words above."""

    envelope: Envelope
    target: str
    status: str
    why: str = ""
    n_records: int = 0

    def without_records(self) -> Handled:
        """The same, light enough to be kept for all envelopes of a place."""
        batch = self.envelope.batch
        empty = Batch([], batch.first_seq, batch.last_seq, batch.start)
        return replace(self, envelope=replace(self.envelope, batch=empty), n_records=len(batch))


@dataclass
class Figures:
    """What was found and done. Envelopes by status, records of the batches that were confirmed now and of those that
    were refused; `problems` are sentences, each said once. Of `envelopes`, `left_out` were not asked for, and `copies`
    are the same as others."""

    planned_files: int = 0
    finished_files: int = 0
    left_out: int = 0
    copies: int = 0
    files: int = 0
    foreign_files: int = 0
    envelopes: int = 0
    selected: int = 0
    records: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    delivered_records: int = 0
    refused_records: int = 0
    unreadable: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing that was wanted is left undone."""
        left = sum(self.by_status.get(status, 0) for status in (REFUSED, NOT_SENT, NO_TARGET))
        return not left and not self.unreadable

    @property
    def waiting(self) -> int:
        """Envelopes that were read, and are not dealt with yet."""
        return self.envelopes - self.selected - self.left_out - self.copies

    def say(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


class Replay:
    """One pass over a place. `sends` False only looks. Figures can be read at any time, an interrupted pass's too."""

    def __init__(
        self,
        place: Place,
        selection: Selection,
        targets: Targets | None,
        courier: Courier,
        sends: bool,
        advanced: Callable[[int], None],
    ) -> None:
        """Without `targets` envelopes are listed by their own destination. `advanced` gets how many bytes of the files
        are dealt with, bit by bit."""
        self.figures = Figures()
        self._place = place
        self._selection = selection
        self._targets = targets
        self._courier = courier
        self._sends = sends
        self._advanced = advanced
        self._stopped: dict[str, str] = {}
        self._seen: set[tuple[str, str]] = set()

    def run(self, files: list[StoredFile]) -> Iterator[Handled]:
        """Each wanted envelope, after it was dealt with. Raises `StateError`."""
        self.figures.planned_files = len(files)
        for file in files:
            contents = read_file(self._place, file)
            self._note(contents)
            steps = len(contents.envelopes)
            for step, envelope in enumerate(contents.envelopes):
                if self._is_new(envelope):
                    yield self._counted(self._handle(envelope))
                self._advanced(file.n_bytes * (step + 1) // steps - file.n_bytes * step // steps)
            self.figures.finished_files += 1
            self._advanced(0 if steps else file.n_bytes)

    def _is_new(self, envelope: Envelope) -> bool:
        """Whether it is wanted, and no copy of one that came before."""
        key = (envelope.key, envelope.destination)
        if not self._selection.wants(envelope):
            self.figures.left_out += 1
        elif key in self._seen:
            self.figures.copies += 1
        else:
            self._seen.add(key)
            return True
        return False

    def _note(self, contents: FileContents) -> None:
        figures = self.figures
        figures.files += 1
        figures.foreign_files += contents.is_foreign
        figures.envelopes += len(contents.envelopes)
        figures.unreadable += contents.n_troubles
        for trouble in contents.troubles:
            figures.say(trouble)

    def _counted(self, handled: Handled) -> Handled:
        figures = self.figures
        figures.selected += 1
        figures.records += handled.envelope.n_records
        figures.by_status[handled.status] = figures.by_status.get(handled.status, 0) + 1
        return handled

    def _handle(self, envelope: Envelope) -> Handled:
        target = self._target_of(envelope)
        if target is None:
            return self._without_target(envelope)
        if self._courier.is_delivered(envelope, target):
            return Handled(envelope, target.name, CONFIRMED)
        if not self._sends:
            return Handled(envelope, target.name, PENDING)
        if target.name in self._stopped:
            return Handled(envelope, target.name, NOT_SENT, self._stopped[target.name])
        return self._judged(envelope, target, self._courier.deliver(envelope, target))

    def _target_of(self, envelope: Envelope) -> Target | None:
        if self._targets is None or self._targets.cannot_tell(envelope):
            return None
        return self._targets.of(envelope.destination)

    def _without_target(self, envelope: Envelope) -> Handled:
        taken_by = self._courier.taken_by(envelope)
        if taken_by:
            return Handled(envelope, taken_by, CONFIRMED)
        if self._targets is None:
            return Handled(envelope, "", PENDING)
        name = envelope.destination
        if self._targets.cannot_tell(envelope):
            why = f"which of the destinations {name_without_number(name)} is meant by {name} cannot be told"
            remedy = f"they differ in their secrets only; name one: --destination '{name}' --to URL"
        else:
            why = f"no destination of the name {name} is set up here"
            remedy = "set TAILRACE_DESTINATIONS to its URL, or name another one with --to"
        self.figures.say(f"{why}; {remedy}")
        return Handled(envelope, "", NO_TARGET, why)

    def _judged(self, envelope: Envelope, target: Target, delivery: Delivery) -> Handled:
        figures = self.figures
        figures.delivered_records += delivery.delivered
        figures.refused_records += delivery.refused
        if delivery.stopped:
            self._stopped[target.name] = delivery.stopped
            figures.say(f"{target.name} takes nothing now: {delivery.stopped}; run the same command again to go on")
            return Handled(envelope, target.name, NOT_SENT, delivery.stopped)
        if delivery.refused:
            why = ", ".join(sorted(set(delivery.refusals)))
            figures.say(f"{target.name} refuses records: {why}")
            return Handled(envelope, target.name, REFUSED, why)
        return Handled(envelope, target.name, DELIVERED)
