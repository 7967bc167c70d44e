"""What must hold however things went. Pure: evidence in, sentences about what does not hold out."""

from __future__ import annotations

from collections.abc import Iterator

from support.proof_run import Evidence, Target, account

_OF_OURS = (
    "internal error", "a thread of the agent failed", "could not be handled", "could not be processed",
    "could not be built", "the listener failed", "could not be encoded", "broke",
)  # fmt: skip

_NOT_COUNTED = "a kill is not counted"


def violations(evidence: Evidence) -> list[str]:
    """Empty where everything holds."""
    found = [*evidence.problems, *_of_ours(evidence)]
    for target in evidence.targets:
        found += [f"{target.kind}: {sentence}" for sentence in _of_target(evidence, target)]
    return found


def _of_ours(evidence: Evidence) -> Iterator[str]:
    for line in evidence.said:
        text = f"{line.get('message', '')} {line.get('reason', '')}"
        if any(word in text for word in _OF_OURS):
            yield f"the agent speaks of a fault of its own: {line}"


def _of_target(evidence: Evidence, target: Target) -> Iterator[str]:
    yield from _of_duplicates(evidence, target)
    yield from _of_content(evidence, target)
    if not target.row:
        # killed before it was built, or without any storage of its own that outlives it
        if evidence.printed:
            yield "the ledger has no row"
        return
    yield from _of_the_equation(evidence, target)
    if not _has_no_account(evidence):
        yield from _of_completeness(evidence, target)
        yield from _of_lines(evidence, target)


def _has_no_account(evidence: Evidence) -> bool:
    """Whether a process said that its end would not be counted (it found a full disk when it began), and may have been
    killed. Then there is no sum that could be right."""
    return evidence.plan.has_resets and any(_NOT_COUNTED in str(line.get("message")) for line in evidence.said)


def _of_the_equation(evidence: Evidence, target: Target) -> Iterator[str]:
    row = target.row
    if row["received"] != account(row):
        yield f"the sum does not hold: {row}"
    if row["held"] and row["held"] != row.get("spooled"):
        yield f"records are held, but not on disk: {row}"
    strange = [reason for reason in row["dropped"] if reason.split(",")[0] not in _explained(evidence)]
    if strange:
        yield f"dropped for {', '.join(strange)}: {row}"


def _of_completeness(evidence: Evidence, target: Target) -> Iterator[str]:
    row, plan = target.row, evidence.plan
    if row["received"] < evidence.n_acknowledged:
        yield f"{evidence.n_acknowledged} records were acknowledged, but {row['received']} counted"
    # each process may have delivered its own account as one more record
    n_own = evidence.n_processes if "TAILRACE_LEDGER" in plan.settings else 0
    if not plan.repeats_telemetry and row["received"] > evidence.n_given + n_own:
        yield f"{row['received']} records were counted, but only {evidence.n_given} were given"


def _explained(evidence: Evidence) -> set[str]:
    """The reasons for lost records that this plan can explain; all others are faults of the agent's."""
    plan = evidence.plan
    words = {"rejected", "too_large", "record_too_large"}  # followed by what the dead letters' place says
    if plan.has_resets:  # who does not leave in time is killed, too
        words.add("process_killed")
    if plan.may_run_out_of_room:
        words |= {"queue_full", "disk_full", "shutdown"}
    if plan.ends != "well":  # else every sink took everything for two calls
        words.add("shutdown")
    return words


def _of_lines(evidence: Evidence, target: Target) -> Iterator[str]:
    row = target.row
    n_there = len(target.records)
    not_there = sum(row["dropped"].values()) + row["rejected"] + row["held"]
    if row["delivered"] > n_there:
        yield f"{row['delivered']} records are booked as delivered, but {n_there} are there"
    if n_there > row["delivered"] + not_there + row["deadLettered"]:
        yield f"{n_there} records are there, more than {row} can explain"
    if row["deadLettered"] > target.n_buried:
        yield f"{row['deadLettered']} records are booked as dead-lettered, but {target.n_buried} are there"
    missing = evidence.acknowledged - set(target.lines) - target.buried_lines
    if len(missing) > not_there:
        yield f"{len(missing)} lines are lost, {not_there} of them with a reason: {sorted(missing)[:5]} ...; {row}"


def _of_content(evidence: Evidence, target: Target) -> Iterator[str]:
    if target.damaged:
        yield f"{len(target.damaged)} lines are not as they were written: {target.damaged[0]}"
    wrong = {(call, said) for call, said in target.requests if said not in (None, evidence.request_ids.get(call))}
    if wrong:
        yield f"lines of one call are said to be of another: {sorted(wrong)}; {evidence.request_ids}"


def _of_duplicates(evidence: Evidence, target: Target) -> Iterator[str]:
    twice = [record for record, n in target.records.items() if n > 1]
    if twice:
        yield f"{len(twice)} records are there more than once: {twice[:5]}"
    if target.conflicts:
        yield f"one key was given to different contents: {target.conflicts[:5]}"
    n_resent = target.row.get("resentUnconfirmed", 0)
    if target.row and target.kind in ("http", "https") and target.n_repeated > n_resent:
        yield f"{target.n_repeated} records came again after they had been taken, but {n_resent} are counted as that"
    again = [line for line, n in target.lines.items() if n > 1]
    if again and not evidence.plan.repeats_telemetry:
        yield f"{len(again)} lines are there more than once: {sorted(again)[:5]}"
