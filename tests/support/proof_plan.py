"""What goes wrong in one run of the proof: everything that a seed decides."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# What a sink does with the requests that come while this weather lasts.
WEATHERS = (
    "fine", "slow", "throttling", "failing", "unavailable", "cutting", "forgetful", "half-read", "half-said",
    "hanging", "small", "picky", "picky", "forbidden", "refusing", "down", "changing",
)  # fmt: skip
TLS_WEATHERS = (*WEATHERS, "stranger")
MOMENTS_OF_THE_AGENT = (
    "init", "registered", "subscribed", "ready", "invoke", "response", "next", "telemetry", "freeze", "thaw",
    "shutdown",
)  # fmt: skip
POLICIES = ("adaptive", "adaptive", "end", "end,50", "continuous", "continuous,50", "periodic,200")
ENDS = ("return",) * 8 + ("raise", "exit", "hang")
KINDS = ("http", "https", "s3", "file")


@dataclass(frozen=True)
class Weather:
    """From now on sink `sink` is like that."""

    sink: int
    name: str


@dataclass(frozen=True)
class Harm:
    """A fault of the environment, at its moment; see `tailrace.testing.Fault`."""

    what: str
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def repeats_telemetry(self) -> bool:
        """Whether the agent may be given the same records twice without any way to tell."""
        return self.what.startswith("telemetry-")


@dataclass(frozen=True)
class InSend:
    """What happens in the middle of a request to sink `sink`, after `after` others: half of its body has been read,
    nothing is answered. `what` is ``freeze`` (of the environment, for `duration_s`) or ``kill`` (of the agent). The
    request itself is ``taken`` or ``cut`` while nobody can hear of it, or taken ``late``, after the thaw."""

    sink: int
    what: str
    then: str
    duration_s: float = 0.0
    after: int = 0


@dataclass(frozen=True)
class Call:
    """An invocation that writes `lines` lines. `within` happens after `after_lines` of them have been written;
    `stands_still_s` freezes the environment then, for that long. `in_send` waits for a request of the agent's."""

    number: int
    lines: int
    width: int
    work_ms: int
    end: str
    poison: int = 0
    after_lines: int = 0
    within: Sequence[Weather | Harm] = ()
    stands_still_s: float = 0.0
    in_send: InSend | None = None


@dataclass(frozen=True)
class Plan:
    """One run. `ends` says how the environment ends: ``well`` (after quiet calls), ``suddenly`` (in the middle of a
    call), ``at once``, ``killed`` (the agent is killed and nothing comes after it)."""

    seed: int
    sinks: Sequence[str]
    settings: Mapping[str, str]
    dead_letters: bool
    namespace: bool
    steps: Sequence[Weather | Harm | Call]
    ends: str

    @property
    def repeats_telemetry(self) -> bool:
        return any(harm.repeats_telemetry for harm in self.harms)

    @property
    def harms(self) -> list[Harm]:
        within = [harm for call in self.calls for harm in call.within]
        return [step for step in (*self.steps, *within) if isinstance(step, Harm)]

    @property
    def calls(self) -> list[Call]:
        return [step for step in self.steps if isinstance(step, Call)]

    @property
    def weathers(self) -> set[str]:
        """Every weather that any sink has."""
        within = [step for call in self.calls for step in call.within]
        return {step.name for step in (*self.steps, *within) if isinstance(step, Weather)}

    @property
    def has_resets(self) -> bool:
        """Whether a process of the agent may end before the environment does."""
        is_killed = any(harm.what == "kill" for harm in self.harms) or self.ends == "killed"
        return is_killed or any(call.end in ("exit", "hang") or call.in_send is not None for call in self.calls)

    @property
    def may_run_out_of_room(self) -> bool:
        """Whether the disk may take less than what there is."""
        return "TAILRACE_SPOOL_MAX_BYTES" in self.settings or any(harm.what == "disk-full" for harm in self.harms)


def plan_of(seed: int, namespaces: bool = False) -> Plan:
    """The same for the same arguments. With `namespaces` some runs have a disk of their own, which may fill up."""
    dice = random.Random(seed)
    namespace = dice.random() < 0.25 and namespaces
    sinks = dice.sample(KINDS, dice.choice((1, 2, 2, 3)))
    steps: list[Weather | Harm | Call] = []
    for number in range(1, dice.randint(4, 7)):
        steps += _mishaps(dice, sinks, namespace)
        steps.append(_call(dice, number, sinks, namespace))
    storms = _remote(sinks) and dice.random() < 0.4
    if storms:
        steps[0:0] = _storm(dice, sinks, namespace)
    ends = dice.choice(("well", "well", "well", "suddenly", "at once", "killed"))
    if ends == "well":
        steps += [Weather(sink, "fine") for sink in range(len(sinks))]
        steps += [Call(number, 5, 50, 0, "return") for number in (90, 91)]
    settings = {
        "TAILRACE_FLUSH": dice.choice(POLICIES),
        "TAILRACE_QUEUE_MAX_BYTES": "65536" if storms else dice.choice(("65536", "65536", "262144", "8388608")),
        "TAILRACE_END_WAIT_MS": dice.choice(("50", "200", "500")),
    }
    if dice.random() < 0.25:
        settings["TAILRACE_TYPES"] = dice.choice(("platform,function,extension", "function"))
    if dice.random() < 0.15:
        settings["TAILRACE_LEDGER"] = "record,metrics"
    if dice.random() < 0.2:
        settings["TAILRACE_SPOOL_MAX_BYTES"] = dice.choice(("0", "60000"))
    return Plan(seed, sinks, settings, dice.random() < 0.35, namespace, steps, ends)


def _remote(sinks: Sequence[str]) -> list[int]:
    """The sinks that are asked over a network."""
    return [sink for sink, kind in enumerate(sinks) if kind != "file"]


def _storm(dice: random.Random, sinks: Sequence[str], namespace: bool) -> list[Weather | Harm | Call]:
    """More than memory holds while a sink is away. When it is back something happens in the middle of a request: after
    what memory held, with a batch that lies on disk."""
    sink = dice.choice(_remote(sinks))
    full = [Harm("disk-full", {"at": "invoke", "duration_ms": dice.choice((0, 1500))})]
    many = Call(71, dice.choice((150, 400)), 900, 50, dice.choice(("return", "return", "hang")), poison=2)
    in_send = _in_send(dice, sink, after=dice.choice((0, 3, 5, 8)))
    return [
        Call(70, 5, 50, 0, "return"),
        Weather(sink, "down"),
        *(full if namespace and dice.random() < 0.7 else ()),
        many,
        Weather(sink, dice.choice(("fine", "fine", "small", "picky"))),
        Call(72, 5, 50, 1000, dice.choice(("return", "return", "hang")), in_send=in_send),
        Call(73, 5, 50, 400, "return"),
    ]


def _in_send(dice: random.Random, sink: int, after: int = 0) -> InSend:
    if dice.random() < 0.5:
        return InSend(sink, "kill", dice.choice(("taken", "taken", "cut")), after=after)
    return InSend(sink, "freeze", dice.choice(("taken", "cut", "late")), dice.choice((0.05, 0.3, 0.8)), after)


def _mishaps(dice: random.Random, sinks: Sequence[str], namespace: bool) -> list[Weather | Harm]:
    mishaps: list[Weather | Harm] = []
    for sink, kind in enumerate(sinks):
        if kind != "file" and dice.random() < 0.5:
            mishaps.append(_weather(dice, sink, kind))
    if dice.random() < 0.6:
        mishaps.append(_harm(dice, namespace))
    return mishaps


def _weather(dice: random.Random, sink: int, kind: str) -> Weather:
    names = TLS_WEATHERS if kind == "https" else WEATHERS
    return Weather(sink, "fine" if dice.random() < 0.25 else dice.choice(names))


def _harm(dice: random.Random, namespace: bool) -> Harm:
    makers: list[Callable[[random.Random], Harm]] = [
        lambda d: Harm("kill", {"process": "tailrace", "at": d.choice(MOMENTS_OF_THE_AGENT)}),
        lambda d: Harm("kill", {"process": "tailrace", "at": "next", "signal": d.choice(("SIGTERM", "SIGSEGV"))}),
        lambda d: Harm("kill", {"process": "runtime", "at": d.choice(("invoke", "response"))}),
        lambda d: Harm("telemetry-late", {"delay_ms": d.choice((50, 400)), "count": d.randint(1, 3)}),
        lambda d: Harm("telemetry-reset", {"reaches_subscriber": d.random() < 0.5, "count": d.randint(1, 2)}),
        lambda d: Harm("telemetry-5xx", {"reaches_subscriber": d.random() < 0.5, "count": d.randint(1, 2)}),
        lambda d: Harm("telemetry-duplicate", {"copies": d.randint(1, 2)}),
        lambda d: Harm(
            "subscriber-pause", {"process": "tailrace", "at": "telemetry", "duration_ms": d.choice((50, 600))}
        ),
        lambda d: Harm("cut-connections", {"at": d.choice(("freeze", "thaw", "response"))}),
    ]
    if namespace:
        moments = ("invoke", "response")
        makers += 3 * [lambda d: Harm("disk-full", {"at": d.choice(moments), "duration_ms": d.choice((0, 1500))})]
    return dice.choice(makers)(dice)


def _call(dice: random.Random, number: int, sinks: Sequence[str], namespace: bool) -> Call:
    lines = dice.choice((0, 1, 5, 40, 150, 400))
    within: list[Weather | Harm] = []
    still_s = 0.0
    in_send = None
    if lines > 1 and dice.random() < 0.4:
        chance = dice.random()
        if chance < 0.25:
            within.append(Harm("kill", {"process": "tailrace"}))
        elif chance < 0.55 and _remote(sinks):
            in_send = _in_send(dice, dice.choice(_remote(sinks)))
        elif chance < 0.75:
            still_s = dice.choice((0.05, 0.3, 0.8))
        else:
            within += _mishaps(dice, sinks, namespace)
    return Call(
        number,
        lines,
        width=dice.choice((10, 200, 200, 900, 900, 4000 if lines < 100 else 900)),
        work_ms=dice.choice((0, 0, 20, 150, 400)),
        end=dice.choice(ENDS),
        poison=dice.randint(1, 2) if dice.random() < 0.4 else 0,
        after_lines=dice.randint(1, max(1, lines // 2)),
        within=within,
        stands_still_s=still_s,
        in_send=in_send,
    )
