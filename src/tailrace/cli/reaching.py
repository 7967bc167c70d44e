"""Asking each destination whether it is there, with the agent's own requests and over the agent's own transport."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tailrace.errors import ConfigError, ConnectError, TransportError
from tailrace.pipeline.messages import AUTHENTICATION, DELIVERED, HttpRequest

if TYPE_CHECKING:
    from tailrace.cli.agent_view import AgentView
    from tailrace.clock import Clock
    from tailrace.pipeline.interfaces import Destination, Transport
    from tailrace.pipeline.messages import Reply

REACHABLE = "reachable"
REFUSED = "refused"
NOT_ALLOWED = "not allowed"
NO_ANSWER = "no answer in time"
NO_QUESTION = "no cheap question exists"

ONLY_A_DELIVERY = "whether it takes records only a delivery shows"
ASK_FOR_CREDENTIALS = (
    "the agent has its function's; here set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if there is one,"
    " AWS_SESSION_TOKEN;"
    ' eval "$(aws configure export-credentials --format env)" does so for a profile'
)
# Beyond the time of a request: for the look-up of a name, which cannot be interrupted.
_GRACE_S = 0.5
# Answers to OPTIONS of servers that know POST only.
_KNOWS_NO_OPTIONS = frozenset((400, 405, 411, 415, 422, 501))


@dataclass(frozen=True)
class Reached:
    """What one destination said: `state` is one of the words above, `reason` says why, `remedy` what to do next."""

    name: str
    state: str
    reason: str = ""
    remedy: str = ""

    @property
    def is_bad(self) -> bool:
        return self.state not in (REACHABLE, NO_QUESTION)

    def to_object(self) -> dict[str, str]:
        return {"name": self.name, "state": self.state, "reason": self.reason, "remedy": self.remedy}

    def line(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.name}  {self.state}{reason}{f'; {self.remedy}' if self.remedy else ''}"


def destinations_of(view: AgentView) -> list[Destination]:
    """All that records may go to, dead letters included, with the credentials that are really there."""
    from tailrace.destinations.dead_letter import dead_letters_in_force
    from tailrace.destinations.registry import build_destinations

    environ = view.environ_without_stand_ins
    found = list(build_destinations(environ, view.settings).destinations)
    dead_letters = dead_letters_in_force(view.settings, environ).destination
    return found if dead_letters is None else [*found, dead_letters]


def ask_all(
    destinations: Sequence[Destination],
    new_transport: Callable[[], Transport],
    clock: Clock,
    timeout_s: float,
    told: Callable[[Reached], object],
) -> list[Reached]:
    """Ask all of them at once, each for `timeout_s` at most; `told` is called with each answer as it comes."""
    answers: dict[int, Reached] = {}
    came = threading.Condition()

    def run(index: int) -> None:
        transport = new_transport()
        try:
            answer = ask(destinations[index], transport, clock, timeout_s)
        finally:
            transport.close()
        with came:
            answers[index] = answer
            came.notify()

    for index in range(len(destinations)):
        threading.Thread(target=run, args=(index,), daemon=True).start()
    deadline_s = clock.monotonic_s() + timeout_s + _GRACE_S
    shown: set[int] = set()
    with came:
        while len(answers) < len(destinations) and clock.monotonic_s() < deadline_s:
            came.wait(max(0.0, deadline_s - clock.monotonic_s()))
            for index in sorted(set(answers) - shown):
                shown.add(index)
                told(answers[index])
        late = _no_answer(timeout_s)
        return [answers.get(index) or late(one.name) for index, one in enumerate(destinations)]


def ask(destination: Destination, transport: Transport, clock: Clock, timeout_s: float) -> Reached:
    """One destination's answer. Never raises."""
    name = destination.name
    try:
        request = destination.health_request(clock.wall_s())
        if request is None:
            return Reached(name, NO_QUESTION, ONLY_A_DELIVERY)
        reply = transport.send(request, timeout_s)
    except ConfigError as problem:
        remedy = ASK_FOR_CREDENTIALS if problem.setting == "AWS credentials" else problem.remedy
        return Reached(name, NOT_ALLOWED, f"{problem.setting}: {problem.found}", remedy)
    except TransportError as error:
        return _without_answer(name, error, timeout_s)
    except Exception as error:  # noqa: BLE001 - a fault of ours is no answer of theirs, and has no text to be shown
        return Reached(name, REFUSED, f"it could not be asked ({type(error).__name__})")
    if isinstance(request, HttpRequest) and request.method == "OPTIONS":
        return _options_answered(name, reply.status)
    return _answered(destination, reply)


def _answered(destination: Destination, reply: Reply) -> Reached:
    outcome = destination.classify(reply)
    if outcome.kind == DELIVERED:
        return Reached(destination.name, REACHABLE)
    if outcome.kind == AUTHENTICATION and reply.status in (401, 403):
        return Reached(destination.name, NOT_ALLOWED, outcome.reason, "look at the credentials and at what they may do")
    remedy = "put that right" if outcome.kind == AUTHENTICATION else "look at the server"
    return Reached(destination.name, REFUSED, outcome.reason, remedy)


def _options_answered(name: str, status: int) -> Reached:
    """What a server says to OPTIONS, a method that stores nothing (RFC 9110, 9.3.7) and that many do not know."""
    said = f"status {status} to OPTIONS"
    if 200 <= status < 300 or status in _KNOWS_NO_OPTIONS:
        return Reached(name, REACHABLE, f"{said}; {ONLY_A_DELIVERY}")
    if status in (401, 403):
        return Reached(name, NOT_ALLOWED, said, "look at its headers and at the user in the URL")
    if status in (404, 410):
        return Reached(name, REFUSED, said, "look at the path of the URL; some servers answer so, and take a POST")
    if 300 <= status < 400:
        return Reached(name, REFUSED, f"{said}: it is somewhere else", "write the URL that it redirects to")
    return Reached(name, REFUSED, said, "look at the server")


def _without_answer(name: str, error: TransportError, timeout_s: float) -> Reached:
    if "timed out" in error.reason:
        return _no_answer(timeout_s, error.reason)(name)
    if "not resolved" in error.reason:
        return Reached(name, REFUSED, error.reason, "look at the host in its URL or endpoint, and at the network")
    if "certificate" in error.reason:
        return Reached(name, REFUSED, error.reason)  # says what to do itself
    if isinstance(error, ConnectError):
        return Reached(name, REFUSED, error.reason)
    return Reached(name, REFUSED, error.reason, "look at the server, and whether it speaks http or https there")


def _no_answer(timeout_s: float, reason: str = "") -> Callable[[str], Reached]:
    remedy = "look at the network on the way (firewall, security group, proxy), or give it more with --timeout"
    within = f"{reason + ', ' if reason else ''}{timeout_s:g} s"
    return lambda name: Reached(name, NO_ANSWER, within, remedy)
