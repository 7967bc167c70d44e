"""One run of the proof: the whole agent in a local environment, with everything that its plan lets go wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import ssl
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from support.emulator_runs import function_folder
from support.proof_plan import Call, Harm, InSend, Plan, Weather
from support.proof_sink import ProofSink
from tailrace.emulator.ledger_line import LedgerWatch
from tailrace.errors import EnvironmentEndedError
from tailrace.pipeline.spooling.carried_row import CarriedRow
from tailrace.pipeline.spooling.carry_over import carried_rows
from tailrace.pipeline.spooling.counter_file import read_counters
from tailrace.testing import ConditionNotMetError, LambdaEnvironment, Pending

AGENT = "tailrace"
TIMEOUT_S = 1.5
# The longest that a call may keep the environment: its time-out, a reset with its shutdown phase, an init, and the slow
# machine on which all of that happens.
CALL_LIMIT_S = 25.0
CATCH_LIMIT_S = 2.0
FUNCTION = """
import os, time
def handler(event, context):
    for n in range(event["lines"]):
        poison = "poison" if n < event["poison"] else "fine"
        print(f"P:{event['call']}:{n}:{poison}:" + "x" * event["width"] + ".")
    time.sleep(event["work_ms"] / 1000)
    if event["end"] == "raise":
        raise RuntimeError("on purpose")
    if event["end"] == "exit":
        os._exit(3)
    if event["end"] == "hang":
        time.sleep(60)
"""
_NUMBERED = re.compile(r"P:\d+:\d+")
_WHOLE = re.compile(r"P:\d+:\d+:(poison|fine):x*\.\n?")


@dataclass
class Target:
    """What one destination has, and what the ledger says about it. `lines` are numbered lines as often as they are
    there, `records` all records by the process that delivered them and their number, `n_repeated` those that came again
    although they had been taken."""

    kind: str
    row: Mapping[str, Any] = field(default_factory=dict)
    lines: Counter[str] = field(default_factory=Counter)
    records: Counter[tuple[str, int]] = field(default_factory=Counter)
    buried_lines: set[str] = field(default_factory=set)
    n_buried: int = 0
    n_repeated: int = 0
    conflicts: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    requests: set[tuple[str, str | None]] = field(default_factory=set)  # of which call, and whose it is said to be

    def take(self, process: str, line: Mapping[str, Any]) -> None:
        self.records[process, line["seq"]] += 1
        if (number := numbered(line)) is not None:
            self.lines[number] += 1
            self.requests.add((number.split(":")[1], line.get("requestId")))
            if not _WHOLE.fullmatch(line["record"]) and "truncated" not in line:
                self.damaged.append(line["record"][:200])


@dataclass
class Evidence:
    """Everything that was seen from outside. `acknowledged` are the numbered lines that the agent has taken, `n_given`
    and `n_acknowledged` all records that it was given and has taken; `happened` says what really went wrong, and how
    often."""

    plan: Plan
    targets: list[Target]
    acknowledged: set[str] = field(default_factory=set)
    n_acknowledged: int = 0
    n_given: int = 0
    request_ids: dict[str, str] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)
    n_processes: int = 0
    said: list[dict[str, Any]] = field(default_factory=list)
    printed: bool = True
    problems: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


def numbered(line: Mapping[str, Any]) -> str | None:
    """The number of a line that the function wrote."""
    record = line.get("record")
    found = _NUMBERED.match(record) if line.get("type") == "function" and isinstance(record, str) else None
    return found[0] if found else None


@dataclass(frozen=True)
class Authority:
    """TLS as it should be, and as it should not."""

    pem: bytes
    good: ssl.SSLContext
    stranger: ssl.SSLContext


def authority() -> Authority:
    ours, theirs = trustme.CA(), trustme.CA()
    return Authority(ours.cert_pem.bytes(), _context(ours), _context(theirs))


def _context(issuer: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


def run_plan(plan: Plan, folder: Path, tls: Authority) -> Evidence:
    """Carry the plan out in `folder` (empty), and gather what came of it."""
    with contextlib.ExitStack() as stack:
        run = _Run(plan, folder, tls, stack)
        run.live()
        return run.evidence()


class _Run:
    def __init__(self, plan: Plan, folder: Path, tls: Authority, stack: contextlib.ExitStack) -> None:
        self.plan = plan
        self.folder = folder
        self.sinks: dict[int, ProofSink] = {}
        self.urls: list[str] = []
        (folder / "work").mkdir()
        (folder / "work" / "ca.pem").write_bytes(tls.pem)
        self.seen = "/tmp/proof" if plan.namespace else str(folder / "work")  # where the environment has that folder
        for place, kind in enumerate(plan.sinks):
            if kind != "file":
                secure = kind == "https"
                sink = ProofSink(plan.seed, tls.good if secure else None, tls.stranger if secure else None)
                self.sinks[place] = stack.enter_context(sink)
            self.urls.append(self._url(place, kind))
        self.env = self._environment()
        self.problems: list[str] = []
        self.request_ids: dict[str, str] = {}
        self.happened: Counter[str] = Counter()

    def _url(self, place: int, kind: str) -> str:
        port = self.sinks[place].port if place in self.sinks else 0
        return {
            "http": f"http://127.0.0.1:{port}/in",
            "https": f"https://localhost:{port}/in",
            "s3": f"s3://proof/logs?endpoint=http://127.0.0.1:{port}&path-style=true&region=eu-west-1",
            "file": f"file://{self.seen}/out",
        }[kind]

    def _environment(self) -> LambdaEnvironment:
        plan = self.plan
        variables = {
            "TAILRACE_DESTINATIONS": " ".join(self.urls),
            "SSL_CERT_FILE": f"{self.seen}/ca.pem",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-proof",
            **({"TAILRACE_DEAD_LETTER": f"file://{self.seen}/dead"} if plan.dead_letters else {}),
            **({} if plan.namespace else {"TAILRACE_SPOOL_DIR": f"{self.seen}/spool"}),
            **plan.settings,
        }
        return LambdaEnvironment(
            "app.handler",
            code=function_folder(self.folder, FUNCTION),
            extensions=[AGENT],
            env=variables,
            timeout_s=TIMEOUT_S,
            isolation="namespace" if plan.namespace else "process",
            mounts=[f"{self.folder / 'work'}:/tmp/proof"] if plan.namespace else (),
        )

    # -- life

    def live(self) -> None:
        with self.env:
            for step in self.plan.steps:
                self._do(step)
            self._end()

    def _do(self, step: Weather | Harm | Call) -> None:
        if isinstance(step, Weather):
            if step.sink in self.sinks:
                self.sinks[step.sink].turn(step.name)
        elif isinstance(step, Harm):
            self.env.inject(step.what, **step.options)
        else:
            self._wait_for(self._call(step), step)

    def _call(self, call: Call) -> Pending:
        event = {"call": call.number, "lines": call.lines, "width": call.width, "work_ms": call.work_ms}
        if call.in_send is not None:
            self.sinks[call.in_send.sink].catch(call.in_send.after)
        pending = self.env.submit({**event, "end": call.end, "poison": call.poison})
        self.request_ids[str(call.number)] = pending.request_id
        if call.within or call.stands_still_s:
            self._reach(pending, f"P:{call.number}:{call.after_lines}:")
            for step in call.within:
                self._do(step)
            if call.stands_still_s and not pending.is_done:
                self._stand_still(call.stands_still_s)
        if call.in_send is not None:
            self._in_send(pending, call.in_send)
        return pending

    def _reach(self, pending: Pending, line: str) -> None:
        """The line has been written, or will not be."""
        with contextlib.suppress(ConditionNotMetError):
            self.env.wait_until(lambda: pending.is_done or any(line in text for text in self.env.log_lines), 5)

    def _stand_still(self, duration_s: float) -> None:
        """Nothing is waited for: the time itself is what goes wrong."""
        self.env.freeze()
        threading.Event().wait(duration_s)
        self.env.thaw()

    def _in_send(self, pending: Pending, harm: InSend) -> None:
        """The sink has caught a request, or will not: then nothing happens."""
        sink = self.sinks[harm.sink]
        with contextlib.suppress(ConditionNotMetError):
            self.env.wait_until(lambda: sink.has_caught or (pending.is_done and self.env.is_frozen), CATCH_LIMIT_S)
        if sink.has_caught:
            self.happened[f"{harm.what} in a send, {harm.then}"] += 1
            if harm.what == "kill":
                self.env.inject("kill", process=AGENT)
            else:
                self._freeze_in_send(pending, harm)
        sink.let_go(cut=harm.then == "cut")

    def _freeze_in_send(self, pending: Pending, harm: InSend) -> None:
        self.env.freeze()
        if harm.then != "late":
            self.sinks[harm.sink].let_go(cut=harm.then == "cut")
        threading.Event().wait(harm.duration_s)
        if not pending.is_done:  # else it stands still as between any two calls
            self.env.thaw()

    def _wait_for(self, pending: Pending, call: Call) -> None:
        try:
            pending.result(CALL_LIMIT_S)
        except ConditionNotMetError as error:
            self.problems.append(f"call {call.number} was not over after {CALL_LIMIT_S:g} s: {error}")
        except EnvironmentEndedError as error:
            self.problems.append(f"call {call.number}: {error}")

    def _end(self) -> None:
        if self.plan.ends == "killed":
            self.env.inject("kill", process=AGENT)
        elif self.plan.ends == "suddenly":
            self._reach(self._call(Call(99, 300, 200, 300, "return")), "P:99:100:")

    # -- what came of it

    def evidence(self) -> Evidence:
        env, plan = self.env, self.plan
        targets = [self._target(place, kind) for place, kind in enumerate(plan.sinks)]
        found = Evidence(plan, targets, problems=self.problems, log=env.log_lines, request_ids=self.request_ids)
        for event in env.telemetry:
            if event.subscriber == AGENT:
                found.n_acknowledged += 1
                number = numbered({"type": event.type, "record": event.record})
                if number is not None:
                    found.acknowledged.add(number)
        found.n_given = found.n_acknowledged + sum(e.subscriber == AGENT for e in env.telemetry.undelivered)
        found.happened = self.happened + Counter(f"{f.what} {f.process}".strip() for f in env.faults)
        found.n_processes = len(env.inits)
        found.said = [line for line in map(_decoded, env.log_lines) if str(line.get("type")).startswith("tailrace.")]
        if env.telemetry_left_out or env.log_lines_left_out:
            found.problems.append("the environment kept less than the proof needs to see")
        ledger = env.ledger
        found.printed = ledger is not None
        if ledger is None:
            # what lay on a disk of its own is gone with the environment
            ledger = {} if plan.namespace else self._account_of_the_killed(found.said)
        for target, url in zip(targets, self.urls, strict=True):
            target.row = _row(ledger, url)
            self._exhume(target, url)
        found.happened += _said_of_the_disk(found)
        return found

    def _target(self, place: int, kind: str) -> Target:
        target = Target(kind)
        if kind == "file":
            for path in (self.folder / "work" / "out").rglob("*.ndjson"):
                for text in path.read_text().splitlines():
                    target.take(path.stem.split("-")[1], json.loads(text))
            return target
        sink = self.sinks[place]
        for key, line in sink.lines():
            target.take(key.split("/")[-1].split("-")[kind == "s3"], line)
        target.conflicts = list(sink.conflicts)
        target.n_repeated = sink.n_repeated
        return target

    def _exhume(self, target: Target, url: str) -> None:
        seen: set[tuple[str, int]] = set()
        for path in (self.folder / "work" / "dead").rglob("*.ndjson"):
            for letter in map(json.loads, path.read_text().splitlines()):
                if _same_place(letter["destination"], url):
                    for line in map(json.loads, letter["records"]):
                        seen.add((letter["environmentId"], line["seq"]))
                        if (number := numbered(line)) is not None:
                            target.buried_lines.add(number)
        target.n_buried = len(seen)

    def _account_of_the_killed(self, said: list[dict[str, Any]]) -> Mapping[str, object]:
        """What the last process left, as the next one would have counted it: nothing is found, all that it held is
        lost with it."""
        watch = LedgerWatch()
        for line in said:
            if line["type"] == "tailrace.ledger":
                watch.process_started(AGENT)
                watch.line_written(AGENT, json.dumps(line))
        rows = self._counters()
        if rows:
            watch.process_started(AGENT)
            watch.line_written(AGENT, json.dumps({"type": "tailrace.ledger", **rows}))
        return watch.total or {}

    def _counters(self) -> dict[str, object]:
        found = list((self.folder / "work" / "spool").rglob("counters"))
        if not found:
            return {}
        (path,) = found
        fd = os.open(path, os.O_RDONLY)
        try:
            previous = read_counters(fd)
        finally:
            os.close(fd)
        if previous.is_closed:
            return {}
        return {name: _closed(row) for name, row in carried_rows(previous).items()}


def _closed(row: CarriedRow) -> dict[str, object]:
    dropped = dict(row.dropped)
    if row.held:
        dropped["process_killed"] = dropped.get("process_killed", 0) + row.held
    return {
        "received": row.received, "delivered": row.delivered, "held": 0, "filtered": row.filtered,
        "sampled": row.sampled, "rejected": sum(row.rejected.values()), "dropped": dropped,
        "deadLettered": row.dead_lettered, "resentUnconfirmed": row.resent_unconfirmed, "takenOver": row.taken_over,
    }  # fmt: skip


def _said_of_the_disk(found: Evidence) -> Counter[str]:
    """What the agent and its ledgers tell of their disk."""
    rows = [
        row
        for line in found.said
        if line["type"] == "tailrace.ledger"
        for row in line.values()
        if row is not line["type"]
    ]
    happened = Counter({"spool used": sum(row.get("spooled", 0) > 0 or row.get("takenOver", 0) > 0 for row in rows)})
    happened["no space left"] = sum(line.get("reason") == "No space left on device" for line in found.said)
    happened["records lost for a full disk"] = sum(
        "disk_full" in target.row.get("dropped", {}) for target in found.targets
    )
    return happened


def _row(ledger: Mapping[str, object], url: str) -> Mapping[str, Any]:
    rows = [row for name, row in ledger.items() if isinstance(row, Mapping) and _same_place(name, url)]
    return rows[0] if rows else {}


def _same_place(name: str, url: str) -> bool:
    """Whether `name` is what the agent calls the destination `url`: without what could be a secret."""
    return url.partition("?")[0].rstrip("/") == name.partition("?")[0].rstrip("/")


def _decoded(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def account(row: Mapping[str, Any]) -> int:
    """The right side of the ledger's equation."""
    counts = ("delivered", "held", "filtered", "sampled", "rejected", "deadLettered")
    return sum(int(row[name]) for name in counts) + sum(map(int, row["dropped"].values()))
