"""The driver around machines that do only what a test needs; real processes and sockets all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from support.emulator_async import run, until
from support.emulator_runs import Story, executable
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.function import Answer, ExtensionFile, FunctionConfig, Report
from tailrace.emulator.invocations import new_invocation
from tailrace.emulator.machine import effects, facts
from tailrace.emulator.processes.process_environment import extension_variables
from tailrace.emulator.workspace import Workspace
from tailrace.errors import EnvironmentEndedError, EnvironmentStartError

INIT_ENDED = effects.ReportInit("init", "success", "", "", 1.0, {})

F = TypeVar("F")

Reaction = list[effects.Effect] | Callable[[Any, int], list[effects.Effect]]
"""Effects, or a function that makes them of a fact (of the kind under which it stands) and the time."""

Answers = Mapping[type[facts.Fact], Reaction]


class Script:
    """Answers each kind of fact with the effects prepared for it, and remembers the facts."""

    def __init__(self, answers: Answers) -> None:
        self.answers: dict[type[facts.Fact], Reaction] = {
            facts.ShutdownRequested: [effects.EndEnvironment("spindown")],
            **answers,
        }
        self.facts: list[facts.Fact] = []
        self.address = ""

    def handle(self, fact: facts.Fact, now_ns: int) -> list[effects.Effect]:
        self.facts.append(fact)
        answer = self.answers.get(type(fact), [])
        return answer if isinstance(answer, list) else answer(fact, now_ns)

    def of(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


Scenario = Callable[[ExecutionEnvironment, Script, Story], Awaitable[None]]


def drive(
    tmp_path: Path,
    answers: Answers,
    scenario: Scenario,
    *,
    runtime: Sequence[str] = ("/bin/sh", "-c", "exec sleep 1000"),
    extensions: tuple[ExtensionFile, ...] = (),
    story: Story | None = None,
) -> tuple[Script, Story]:
    (tmp_path / "environments").mkdir()
    script = Script(answers)
    story = story or Story()

    def factory(config: FunctionConfig, address: str, variables: Mapping[str, str]) -> Script:
        script.address = address
        return script

    async def main() -> None:
        config = FunctionConfig("f", "a.b", tmp_path, tuple(runtime), extensions=extensions)
        with Workspace.create(tmp_path / "environments") as workspace:
            async with ExecutionEnvironment(config, story, workspace=workspace, machine_factory=factory) as env:
                await scenario(env, script, story)

    run(main())
    return script, story


def report(request_id: str) -> Report:
    return Report(request_id, "success", "", 1.0, 1, 128, 10, None)


def test_effects_are_run_in_their_order_and_facts_that_arise_wait(tmp_path: Path) -> None:
    def invoked(fact: facts.InvokeRequested, now_ns: int) -> list[effects.Effect]:
        id_ = fact.invocation.request_id
        return [
            effects.WriteLog("platform", "START", id_),
            effects.AnswerInvoker(Answer(id_, b"1")),
            effects.WriteLog("platform", "REPORT", id_),
            effects.CloseInvocation(report(id_)),
            effects.Freeze(),
        ]

    async def scenario(env: ExecutionEnvironment, script: Script, story: Story) -> None:
        await env.start()
        first, second = await asyncio.gather(*(env.invoke(new_invocation(b"", 0)) for _ in range(2)))
        assert [line.text for line in first.logs] == ["START", "REPORT"]
        assert [line.request_id for line in second.logs] == [second.answer.request_id] * 2
        order = ["started", "log", "answered", "log", "closed"]
        assert [kind for kind, _ in story.events][1:] == [*order, "frozen"] * 2

    drive(tmp_path, {facts.InitRequested: [INIT_ENDED], facts.InvokeRequested: invoked}, scenario)


def test_the_answer_is_there_before_the_invocation_is_closed(tmp_path: Path) -> None:
    def invoked(fact: facts.InvokeRequested, now_ns: int) -> list[effects.Effect]:
        id_ = fact.invocation.request_id
        return [effects.AnswerInvoker(Answer(id_, b"early")), effects.SetTimer("end", now_ns + 20_000_000)]

    async def scenario(env: ExecutionEnvironment, script: Script, story: Story) -> None:
        await env.start()
        invocation = new_invocation(b"", 0)
        pending_id = invocation.request_id
        script.answers[facts.TimerFired] = [effects.CloseInvocation(report(pending_id))]
        pending = env.submit(invocation)
        assert (await pending.answered).payload == b"early"
        assert not pending.closed.done()
        assert (await pending.closed).report.request_id == pending_id

    drive(tmp_path, {facts.InitRequested: [INIT_ENDED], facts.InvokeRequested: invoked}, scenario)


def test_a_timer_never_fires_early_and_a_cancelled_one_not_at_all(tmp_path: Path) -> None:
    async def scenario(env: ExecutionEnvironment, script: Script, story: Story) -> None:
        fired: list[tuple[str, int]] = []
        due: dict[str, int] = {}

        def init(fact: facts.InitRequested, now_ns: int) -> list[effects.Effect]:
            due.update({"a": now_ns + 3_000_000, "b": now_ns + 9_000_000})
            timers = [effects.SetTimer(name, at) for name, at in {**due, "c": now_ns + 1}.items()]
            return [
                effects.SetTimer("b", now_ns),
                *timers,
                effects.CancelTimer("c"),
                effects.CancelTimer("?"),
                INIT_ENDED,
            ]

        def remember(fact: facts.TimerFired, now_ns: int) -> list[effects.Effect]:
            fired.append((fact.timer, now_ns))
            return []

        script.answers[facts.InitRequested] = init
        script.answers[facts.TimerFired] = remember
        await env.start()
        await until(lambda: len(fired) == 2)
        assert [name for name, _ in fired] == ["a", "b"]
        assert all(at >= due[name] for name, at in fired)

    drive(tmp_path, {}, scenario)


def test_a_fault_of_the_machine_reaches_the_caller_and_leaves_nothing_running(tmp_path: Path) -> None:
    def fault(fact: facts.Fact, now_ns: int) -> list[effects.Effect]:
        raise ZeroDivisionError("a fault of ours")

    spawn = effects.SpawnProcess(facts.RUNTIME, 1, {})

    async def scenario(env: ExecutionEnvironment, script: Script, story: Story) -> None:
        await env.start()
        with pytest.raises(ZeroDivisionError):
            await env.invoke(new_invocation(b"", 0))
        with pytest.raises(ZeroDivisionError):
            await env.invoke(new_invocation(b"", 0))

    answers: Answers = {facts.InitRequested: [spawn, INIT_ENDED], facts.InvokeRequested: fault}
    _, story = drive(tmp_path, answers, scenario)
    assert [exit_.signal for exit_ in story.of("exit")] == ["SIGKILL"]
    with pytest.raises(ZeroDivisionError):
        drive(tmp_path / "second", {facts.InitRequested: fault}, lambda env, *_: env.start())


@pytest.fixture(autouse=True)
def second_folder(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()


def test_an_environment_that_ends_by_itself_fails_what_waits(tmp_path: Path) -> None:
    async def scenario(env: ExecutionEnvironment, script: Script, story: Story) -> None:
        await env.start()
        calls = [asyncio.create_task(env.invoke(new_invocation(b"", 0))) for _ in range(2)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [EnvironmentEndedError] * 2
        with pytest.raises(EnvironmentEndedError):
            env.submit(new_invocation(b"", 0))

    end: Reaction = [effects.EndEnvironment("failure")]
    _, story = drive(tmp_path, {facts.InitRequested: [INIT_ENDED], facts.InvokeRequested: end}, scenario)
    assert story.of("ended") == ["failure"]


def test_an_extension_that_cannot_be_started_fails_the_start_and_the_machine_knows(tmp_path: Path) -> None:
    path = tmp_path / "ext"
    path.write_text("no interpreter line")
    path.chmod(0o755)
    spawn = effects.SpawnProcess("ext:ext", 1, {})

    async def scenario(env: ExecutionEnvironment, script: Script, story: Story) -> None:
        script.answers[facts.ProcessNotSpawned] = [INIT_ENDED]
        with pytest.raises(EnvironmentStartError, match=r"cannot start .*/ext: Exec format error"):
            await env.start()
        assert script.of(facts.ProcessNotSpawned) == [facts.ProcessNotSpawned("ext:ext", 1, "ENOEXEC")]

    drive(tmp_path, {facts.InitRequested: [spawn]}, scenario, extensions=(ExtensionFile("ext", path),))


def test_memory_is_measured_while_processes_run_and_before_a_request_that_may_end_work(tmp_path: Path) -> None:
    async def scenario(env: ExecutionEnvironment, script: Script, story: Story) -> None:
        script.answers[facts.InitRequested] = lambda fact, now_ns: [
            effects.SpawnProcess(facts.RUNTIME, 1, {"PATH": "/usr/bin:/bin", "AWS_LAMBDA_RUNTIME_API": script.address}),
            INIT_ENDED,
        ]
        await env.start()
        await until(lambda: len(script.of(facts.HttpRequested)) == 1)
        before = script.facts.index(script.of(facts.HttpRequested)[0])
        measured = [fact for fact in script.facts[:before] if isinstance(fact, facts.MemoryMeasured)]
        assert measured[-1].n_bytes > 100_000
        await until(lambda: len(script.of(facts.MemoryMeasured)) > 2)

    runtime = ("/bin/sh", "-c", "curl -s http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension/event/next")
    drive(tmp_path, {}, scenario, runtime=runtime)


def test_starting_twice_is_a_mistake(tmp_path: Path) -> None:
    async def scenario(env: ExecutionEnvironment, script: Script, story: Story) -> None:
        await env.start()
        with pytest.raises(RuntimeError, match="started once"):
            await env.start()

    drive(tmp_path, {facts.InitRequested: [INIT_ENDED]}, scenario)


def test_the_agents_places_are_the_environments_own(tmp_path: Path) -> None:
    config = FunctionConfig("f", "a.b", tmp_path, ("x",))
    assert extension_variables(config, tmp_path / "spool") == {
        "TAILRACE_LISTEN_HOST": "127.0.0.1",
        "TAILRACE_SPOOL_DIR": str(tmp_path / "spool"),
    }
    (tmp_path / "tailrace.toml").touch()
    assert extension_variables(config, tmp_path)["TAILRACE_CONFIG_FILE"] == str(tmp_path / "tailrace.toml")


class FailingStory(Story):
    def init_reported(self, report: effects.ReportInit) -> None:
        raise KeyError("observer")


def test_an_observer_that_fails_does_not_hang_the_environment(tmp_path: Path) -> None:
    async def scenario(env: ExecutionEnvironment, script: Script, story: Story) -> None:
        with pytest.raises(KeyError):
            await env.start()

    drive(tmp_path, {facts.InitRequested: [INIT_ENDED]}, scenario, story=FailingStory())


def test_a_program_given_by_its_path_runs_in_the_codes_folder(tmp_path: Path) -> None:
    path = executable(tmp_path / "say", "#!/bin/sh\npwd\n")
    spawn = effects.SpawnProcess("ext:say", 1, {})

    async def scenario(env: ExecutionEnvironment, script: Script, story: Story) -> None:
        await env.start()
        await until(lambda: script.of(facts.LinesWritten) != [] and script.of(facts.ProcessExited) != [])
        assert script.of(facts.LinesWritten) == [facts.LinesWritten("ext:say", 1, (str(tmp_path),))]
        assert env.extension_exits == {"say": 0}

    drive(tmp_path, {facts.InitRequested: [spawn, INIT_ENDED]}, scenario, extensions=(ExtensionFile("say", path),))
