"""A local Lambda environment for ordinary test functions: everything blocks, nothing is left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tailrace.emulator.deployment.build import FunctionOptions, build_function
from tailrace.emulator.deployment.policy_sources import apply_policy
from tailrace.emulator.driver import ExecutionEnvironment
from tailrace.emulator.faults.fault import RUNTIME, Fault
from tailrace.emulator.faults.plan import check_fault
from tailrace.emulator.function import FunctionConfig, Invocation
from tailrace.emulator.instruments import Instruments
from tailrace.emulator.invocations import new_invocation
from tailrace.emulator.machine.effects import ReportInit
from tailrace.emulator.telemetry.log import TelemetryEntry
from tailrace.emulator.transcript import Transcript, open_transcript
from tailrace.emulator.workspace import Workspace
from tailrace.errors import ConfigError, EnvironmentEndedError, TailraceError, UsageError
from tailrace.packaging.own_extension import check_agent_settings
from tailrace.testing import arguments, loop_thread
from tailrace.testing.arguments import StrPath
from tailrace.testing.pending import Pending
from tailrace.testing.recorder import Recorder
from tailrace.testing.result import Result, make_result
from tailrace.testing.telemetry import Telemetry
from tailrace.testing.waiting import until

T = TypeVar("T")


class LambdaEnvironment:
    """One execution environment of a function, with real processes, on this machine.

    ::

        with LambdaEnvironment("app.handler", code="app", extensions=["extensions/counter", "tailrace"]) as env:
            assert env.invoke({"n": 1}).error is None

    `handler` is ``module.function``. `code` is the folder or zip file of its code (default: the current folder).
    `runtime` is ``auto`` (as its files say), ``python``, ``nodejs`` or ``provided``; `bootstrap` an executable as
    custom runtime, `python` the interpreter of the function (default: this one), `node` its Node.js, and `node_client`
    the folder where npm has installed AWS's client for it (docs/how-to/choose-a-runtime.md). `extensions` are
    executable files; the bare word ``tailrace`` is our agent as in its layer. `layers` are folders or zip files, merged
    in order. `env` are the function's variables; credentials and region among them are the role's. `log_format` is
    ``text`` or ``json``. With `tenant_isolation` every invocation names its `tenant_id`. `policy` are choices about the
    platform by name, for example ``{"init_timeout_ms": 500}`` (docs/reference/fidelity.md). With `freeze` (the default)
    every process stands still between invocations, as on Lambda.

    `isolation` is ``auto`` (the best this machine allows), ``process`` or ``namespace``; in namespaces `mounts`
    (``SRC[:DST][:ro]``) are shown where they would be hidden, and `/tmp` holds `tmp_mb`. `cpu` is ``host``, or
    ``lambda`` for Lambda's share of the processors, which follows from `memory_mb`.

    What cannot work raises a `ConfigError` (`UsageError`) or an `EnvironmentStartError` with one sentence. An init that
    fails is none of these: Lambda hides it and tries again at the first invocation, whose result then tells it.

    `faults` are what shall go wrong, names or `Fault` values (docs/reference/fault-plan.md), and `seed` the seed of
    their dice; `inject` adds more while the environment runs. `transcript` is a file for every fact and effect
    (`tailrace.emulator.transcript` reads it).

    After `shutdown` everything that was recorded can still be read.
    """

    def __init__(
        self,
        handler: str,
        *,
        code: StrPath = ".",
        extensions: Iterable[StrPath] = (),
        layers: Iterable[StrPath] = (),
        env: Mapping[str, str] | None = None,
        timeout_s: float = 3.0,
        memory_mb: int = 128,
        log_format: str = "text",
        bootstrap: StrPath | None = None,
        python: StrPath | None = None,
        runtime: str = "auto",
        node: StrPath | None = None,
        node_client: StrPath | None = None,
        name: str = "",
        freeze: bool = True,
        isolation: str = "auto",
        mounts: Iterable[str] = (),
        tmp_mb: int = 512,
        cpu: str = "host",
        tenant_isolation: bool = False,
        policy: Mapping[str, object] | None = None,
        faults: Iterable[str | Fault] = (),
        seed: int = 0,
        transcript: StrPath | None = None,
    ) -> None:
        __tracebackhide__ = True
        self._options = FunctionOptions(
            handler=arguments.handler_name(handler),
            code_dir=Path(code),
            bootstrap=Path(bootstrap) if bootstrap is not None else None,
            python=Path(python) if python is not None else None,
            runtime=runtime,
            node=Path(node) if node is not None else None,
            node_client=Path(node_client) if node_client is not None else None,
            extensions=arguments.extension_paths(extensions),
            layers=arguments.paths("layers", layers),
            variables=arguments.variables(env),
            timeout_s=arguments.timeout(timeout_s),
            memory_mb=arguments.memory(memory_mb),
            log_format=arguments.log_format(log_format),
            freeze=freeze,
            isolation=arguments.isolation(isolation),
            mounts=arguments.mounts(mounts),
            tmp_mb=arguments.tmp_size(tmp_mb),
            cpu=arguments.cpu(cpu),
            name=name,
            tenant_isolation=tenant_isolation,
            policy=apply_policy(policy or {}),
        )
        self._plan = arguments.faults(faults, seed)
        self._transcript = Path(transcript) if transcript is not None else None
        self._recorder = Recorder()
        self._environment: ExecutionEnvironment | None = None
        self._loop: loop_thread.LoopThread | None = None
        self._cleanup: contextlib.ExitStack | None = None
        self.telemetry = Telemetry(self._telemetry_entries, self._standstill)

    # life

    def start(self) -> Self:
        """Initialise the environment: processes run, the init phase has ended. Called by the `with` statement."""
        __tracebackhide__ = True
        if self._environment is not None:
            raise RuntimeError("an environment is started once; make another one")
        with contextlib.ExitStack() as cleanup:
            workspace = cleanup.enter_context(Workspace.create())
            config = self._build(workspace)
            self._recorder.extensions = tuple(extension.name for extension in config.extensions)
            self._plan.check([extension.name for extension in config.extensions], config.isolation.level)
            instruments = Instruments(self._plan, self._open_transcript(cleanup))
            self._environment = ExecutionEnvironment(
                config, self._recorder, workspace=workspace, machine_factory=instruments.make_machine
            )
            self._loop = loop_thread.acquire()
            cleanup.callback(self._give_up_loop)
            cleanup.callback(self._end, self._environment)
            self._run(self._environment.start)
            self._cleanup = cleanup.pop_all()
        return self

    def _build(self, workspace: Workspace) -> FunctionConfig:
        __tracebackhide__ = True
        try:
            config = build_function(self._options, workspace)
        except UsageError as error:
            raise arguments.in_keywords(error) from None
        check_agent_settings(config)
        return config

    def _open_transcript(self, cleanup: contextlib.ExitStack) -> Transcript | None:
        path = self._transcript
        if path is None:
            return None
        try:
            transcript = Transcript(cleanup.enter_context(open_transcript(path)))
        except OSError as error:
            raise ConfigError("transcript", f"{path} cannot be written: {error.strerror}") from None
        cleanup.callback(_check_complete, transcript, path)
        return transcript

    def shutdown(self) -> None:
        """End the environment as Lambda does: SHUTDOWN with the reason ``spindown`` to extensions, within its budget.

        No process is left then. May be called twice; the `with` statement and the fixture call it too.
        """
        cleanup, self._cleanup = self._cleanup, None
        if cleanup is not None:
            cleanup.close()

    def _end(self, environment: ExecutionEnvironment) -> None:
        self._run(environment.shutdown)

    def _give_up_loop(self) -> None:
        self._loop = None
        loop_thread.release()

    def __enter__(self) -> Self:
        __tracebackhide__ = True
        return self if self._cleanup is not None else self.start()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()

    # what a test does

    def invoke(
        self,
        event: object = None,
        *,
        client_context: Mapping[str, object] | None = None,
        tenant_id: str = "",
        raw: bytes | str | None = None,
    ) -> Result:
        """Run one invocation and wait until it has ended for the platform, extensions included.

        `event` is any JSON value (nothing: the empty object); `raw` is the JSON text itself, byte for byte. A function
        that fails does not raise: see `Result.error`. Raises `EnvironmentEndedError` after `shutdown`.
        """
        __tracebackhide__ = True
        invocation = self._invocation(event, client_context, tenant_id, raw)
        environment = self._started()
        closed = self._run(lambda: environment.invoke(invocation))
        return make_result(closed, self._recorder.init_failure)

    def submit(
        self,
        event: object = None,
        *,
        client_context: Mapping[str, object] | None = None,
        tenant_id: str = "",
        raw: bytes | str | None = None,
    ) -> Pending:
        """Hand in an invocation and return at once, so that a test can do something while it runs. See `invoke`."""
        __tracebackhide__ = True
        invocation = self._invocation(event, client_context, tenant_id, raw)
        environment = self._started()
        return Pending(self._read(lambda: environment.submit(invocation)), self._read, self.__repr__)

    def _invocation(
        self, event: object, client_context: Mapping[str, object] | None, tenant_id: str, raw: bytes | str | None
    ) -> Invocation:
        __tracebackhide__ = True
        payload = arguments.payload(event, raw)
        context = arguments.client_context(client_context)
        environment = self._running()
        invocation = new_invocation(payload, environment.now_ns(), tenant_id=arguments.tenant(tenant_id))
        return replace(invocation, client_context=context)

    def freeze(self) -> None:
        """Let every process stand still, now, whatever it is doing; on return none of them runs.

        While the environment is idle, that is how it stands between invocations: the next one thaws it, or `thaw`. In
        the middle of an invocation, or of an init, it stays frozen until `thaw`. The processes do not see the time
        pass, the platform does: telemetry stands still, but deadlines run on, because they were handed out as points in
        time. When one passes, the environment is reset as after any timeout.
        """
        __tracebackhide__ = True
        self._read(self._running().freeze)

    def thaw(self) -> None:
        """Let every process go on, whoever froze it. Without invocation they run until the next one is done."""
        __tracebackhide__ = True
        self._read(self._running().thaw)

    def inject(self, fault: str | Fault, **options: Any) -> None:
        """Let something go wrong: at the fault's moment, or where it has none, at once.

        `options` are those of `Fault`: ``env.inject("telemetry-5xx", count=2)``,
        ``env.inject("kill", process="counter")``. Raises `ConfigError` for what this environment cannot have.
        """
        __tracebackhide__ = True
        wanted = arguments.fault(fault, **options)
        environment = self._running()
        names = [RUNTIME, *(extension.name for extension in environment.config.extensions)]
        check_fault(wanted, names, environment.isolation)
        self._read(lambda: environment.inject(wanted))

    def wait_until(self, condition: Callable[[], T], timeout_s: float = 5.0) -> T:
        """Wait until `condition` returns something true, and return that.

        Raises `ConditionNotMetError`, which says how the environment stands, after `timeout_s`.
        """
        __tracebackhide__ = True
        name = getattr(condition, "__name__", repr(condition))
        return until(condition, timeout_s, lambda: f"{name} did not come true within {timeout_s:g} s; {self!r}")

    def wait_frozen(self, timeout_s: float = 5.0) -> None:
        """Wait until every process stands still. Raises `ConditionNotMetError` after `timeout_s`."""
        __tracebackhide__ = True
        remark = "" if self._options.freeze else "; freeze=False"
        until(lambda: self.is_frozen, timeout_s, lambda: f"not frozen within {timeout_s:g} s; {self!r}{remark}")

    # what a test looks at

    @property
    def name(self) -> str:
        """The function's name: the `name` that was given, or that of the code's folder."""
        return self._environment.config.name if self._environment is not None else self._options.name

    @property
    def config(self) -> FunctionConfig:
        """The function as it was set up, for example `config.arn`."""
        return self._started().config

    @property
    def isolation(self) -> str:
        """The level in force: ``process`` or ``namespace``."""
        return self._started().isolation

    @property
    def is_frozen(self) -> bool:
        """Whether every process of the environment stands still at this moment."""
        return self._recorder.is_frozen

    @property
    def faults(self) -> list[Fault]:
        """What went wrong on purpose so far, in order, each as often as it did."""
        return self._recorder.faults

    @property
    def fault_problems(self) -> list[str]:
        """Why a fault, or a part of one, was not possible after all; empty where all went wrong as it should."""
        return self._recorder.fault_problems

    @property
    def log_lines(self) -> list[str]:
        """The function's log stream so far, extensions' and the platform's lines included.

        Of very many lines (32 MB) only the newest; `log_lines_left_out` is how many came before.
        """
        return self._recorder.lines

    @property
    def log_lines_left_out(self) -> int:
        """How many lines are not in `log_lines` any more."""
        return self._recorder.n_lines_left_out

    @property
    def telemetry_left_out(self) -> int:
        """How many older events, one for each subscriber, are not in `telemetry` any more: 32 MB are kept."""
        return self._read(lambda: self._started().telemetry_counts.n_left_out)

    @property
    def inits(self) -> list[ReportInit]:
        """How each init phase ended: `status`, `error_type`, `duration_ms`, `ready_ms` by process."""
        return self._recorder.inits

    @property
    def exits(self) -> dict[str, int | str]:
        """How processes ended: exit code or signal (``SIGKILL``), the last one of each by name (``runtime``).

        A process that was killed may end just after the invocation that it spoiled.
        """
        return {name: end.status for name, end in self._read(lambda: self._started().process_exits).items()}

    @property
    def ledger(self) -> Mapping[str, Any] | None:
        """What the agent says of every record, by destination; None before `shutdown`, without agent, or when it was
        killed before it could."""
        return self._read(lambda: self._started().ledger)

    def __repr__(self) -> str:
        failure = f"; {self._recorder.init_failure}" if self._recorder.init_failure else ""
        return f"<LambdaEnvironment {self._options.handler}: {self._state()}{failure}>"

    # inside

    def _state(self) -> str:
        if self._environment is None:
            return "not started"
        if self._loop is None:
            return "ended"
        return "frozen" if self.is_frozen else "running"

    def _started(self) -> ExecutionEnvironment:
        if self._environment is None:
            raise RuntimeError("the environment has not been started; use it in a with statement")
        return self._environment

    def _running(self) -> ExecutionEnvironment:
        environment = self._started()
        if self._loop is None:
            raise EnvironmentEndedError("the execution environment has ended")
        return environment

    def _telemetry_entries(self) -> Iterable[TelemetryEntry]:
        return self._read(lambda: self._started().telemetry_log)

    def _standstill(self) -> str:
        if self._state() == "frozen":
            return "the environment is frozen: what it holds is delivered at the next invocation or at shutdown"
        return "the environment has ended" if self._loop is None else ""

    def _read(self, look: Callable[[], T]) -> T:
        """Where the environment runs, look between two of its steps; afterwards nothing changes any more."""
        return self._loop.call(look) if self._loop is not None else look()

    def _run(self, action: Callable[[], Any]) -> Any:
        __tracebackhide__ = True
        assert self._loop is not None
        try:
            return self._loop.run(action())
        except TailraceError as error:  # one sentence for a person: how it came about inside is of no use to a test
            raise error.with_traceback(None) from None


def _check_complete(transcript: Transcript, path: Path) -> None:
    if transcript.failure:
        raise ConfigError("transcript", f"{path} is incomplete: {transcript.failure}")
