"""Bringing one envelope to one destination, as the agent would have done it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tailrace.errors import ConfigError, TransportError
from tailrace.model.batch import Batch
from tailrace.model.resource import Resource
from tailrace.pipeline import messages
from tailrace.pipeline.dead_letters.envelope import name_without_number
from tailrace.pipeline.identity import content_checksum
from tailrace.pipeline.messages import Outcome
from tailrace.replay.envelope import Envelope
from tailrace.replay.identity import name_in
from tailrace.replay.patience import MAX_ATTEMPTS, Patience
from tailrace.replay.pieces import Piece, next_piece
from tailrace.replay.state import Confirmations
from tailrace.replay.targets import Target

if TYPE_CHECKING:
    from tailrace.clock import Clock

# Places of records in an envelope.
Places = Sequence[int]

ATTEMPT_TIMEOUT_S = 30.0


@dataclass
class Delivery:
    """What became of an envelope's records. `stopped` says why the destination takes nothing at all now; what is in
    neither count was not settled then."""

    delivered: int = 0
    refused: int = 0
    refusals: list[str] = field(default_factory=list)
    stopped: str = ""

    def refuse(self, n_records: int, reason: str) -> None:
        self.refused += n_records
        self.refusals.append(reason or "refused")


class Courier:
    """Sends, repeats what may pass, halves what is too large or holds a record that is refused.

    Whatever is taken is confirmed at once, and whatever is cut is noted before its halves go out: after an interruption
    at most the one request whose answer nobody heard goes out again, as it was.
    """

    def __init__(self, confirmed: Confirmations, clock: Clock, patience: Patience) -> None:
        self._confirmed = confirmed
        self._clock = clock
        self._patience = patience

    def is_delivered(self, envelope: Envelope, target: Target) -> bool:
        return self._confirmed.has_all(envelope.key, self._name_of(target))

    def taken_by(self, envelope: Envelope) -> str:
        """The name of a destination that has all of the envelope, its own before others; empty where none has."""
        own = name_without_number(envelope.destination)
        names = [name_in(identity) for identity in self._confirmed.takers(envelope.key)]
        return envelope.destination if own in names else next(iter(names), "")

    def _name_of(self, target: Target) -> str:
        """What the destination is called in the notes."""
        return self._confirmed.identity(name_without_number(target.name), target.secrets)

    def deliver(self, envelope: Envelope, target: Target) -> Delivery:
        """What is not confirmed yet. Raises `StateError`."""
        delivery = Delivery()
        settled = set(self._confirmed.taken(envelope.key, self._name_of(target)))
        waiting = [] if self.is_delivered(envelope, target) else [Piece(0, envelope.n_records)]
        while not delivery.stopped:
            piece = next_piece(
                waiting, settled, lambda one: self._confirmed.is_cut(envelope.key, self._name_of(target), one)
            )
            if piece is None:
                break
            if settled.isdisjoint(piece.places):
                settled.update(self._settle(piece, envelope, target, delivery))
            if not settled.issuperset(piece.places):
                waiting.insert(0, piece)
                self._cut(piece, envelope, target, delivery)
        if not (delivery.stopped or delivery.refused or self.is_delivered(envelope, target)):
            self._confirmed.confirm(envelope.key, self._name_of(target), None)
        return delivery

    def _cut(self, piece: Piece, envelope: Envelope, target: Target, delivery: Delivery) -> None:
        """Before a half goes out it is noted that the whole never will: who is killed in between would send the whole
        again, and what the destination took of it a second time under another name."""
        if not delivery.stopped:
            self._confirmed.cut(envelope.key, self._name_of(target), piece)

    def _settle(self, piece: Piece, envelope: Envelope, target: Target, delivery: Delivery) -> Places:
        """One request up to an outcome; the places of the records that have theirs now. What is left is to be sent in
        halves, unless the destination has stopped."""
        places = piece.places
        batch = part(envelope.batch, places)
        outcome = self._send(batch, resource_for(envelope, batch, target.name), target)
        if outcome.kind == messages.PARTIAL:
            return self._take_part(places, outcome, envelope, target, delivery)
        if outcome.kind == messages.DELIVERED:
            self._take(places, envelope, target, delivery)
        elif outcome.kind in (messages.SPLIT, messages.POISONED) and len(places) > 1:
            return ()
        elif outcome.kind in (messages.RETRY, messages.AUTHENTICATION):
            delivery.stopped = outcome.reason or "it takes nothing now"
            return ()
        else:
            delivery.refuse(len(places), outcome.reason)
        return places

    def _take_part(
        self, places: Places, outcome: Outcome, envelope: Envelope, target: Target, delivery: Delivery
    ) -> Places:
        """Each record has its own fate; see `Outcome`."""
        again = {places[i] for i in outcome.again if 0 <= i < len(places)}
        refused = {places[i] for i in outcome.refused if 0 <= i < len(places)}.difference(again)
        taken = [place for place in places if place not in refused and place not in again]
        if taken:
            self._take(taken, envelope, target, delivery)
        if refused:
            delivery.refuse(len(refused), outcome.reason)
        if len(again) == len(places):
            delivery.stopped = outcome.reason or "it takes none of the records now"
        return [*taken, *refused]

    def _take(self, places: Places, envelope: Envelope, target: Target, delivery: Delivery) -> None:
        delivery.delivered += len(places)
        self._confirmed.confirm(
            envelope.key, self._name_of(target), None if len(places) == envelope.n_records else places
        )

    def _send(self, batch: Batch, resource: Resource, target: Target) -> Outcome:
        """The outcome; where nothing helps for the moment, the last one of several attempts."""
        attempt = 0
        while True:
            attempt += 1
            outcome = self._attempt(batch, resource, target)
            if outcome.kind != messages.RETRY or attempt == MAX_ATTEMPTS:
                return outcome
            self._patience.wait(attempt, f"{target.name}: {outcome.reason or 'nothing taken'}", outcome.retry_after_s)

    def _attempt(self, batch: Batch, resource: Resource, target: Target) -> Outcome:
        try:
            request = target.destination.build_request(batch, resource, self._clock.wall_s())
            return target.destination.classify(target.transport.send(request, ATTEMPT_TIMEOUT_S))
        except TransportError as error:
            is_over = target.is_standard_output and isinstance(error.__cause__, BrokenPipeError)
            # a pipe that its reader has closed never opens again; a connection may
            return Outcome(messages.AUTHENTICATION if is_over else messages.RETRY, error.reason)
        except ConfigError as error:
            return Outcome(messages.AUTHENTICATION, str(error))


def resource_for(envelope: Envelope, batch: Batch, destination: str) -> Resource:
    """Who the destination is told the batch is from: whoever sealed it, so that the names are those that the agent
    would have used. Elsewhere those may be taken by other batches of the same environment: the names there are made of
    the records."""
    own = envelope.resource
    if destination == envelope.destination:
        return own
    environment_id = f"{own.environment_id}-replay-{content_checksum(batch.parts):08x}"
    return Resource(own.function_name, environment_id, own.function_version)


def part(batch: Batch, places: Places) -> Batch:
    """The records at these places (ascending, at least one), as a batch of the same time."""
    if len(places) == len(batch):
        return batch
    parts = [batch.parts[place] for place in places]
    return Batch(parts, _seq(batch, places[0]), _seq(batch, places[-1]), batch.start)


def _seq(batch: Batch, place: int) -> int:
    """The record's own number where it says one that can be true, else as if they were without gaps."""
    try:
        value = json.loads(batch.parts[place])
    except (ValueError, RecursionError):
        value = None
    seq = value.get("seq") if isinstance(value, dict) else None
    if isinstance(seq, int) and not isinstance(seq, bool) and batch.first_seq <= seq <= batch.last_seq:
        return seq
    return min(batch.first_seq + place, batch.last_seq)
