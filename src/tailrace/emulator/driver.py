"""Runs the machine: facts from sockets, processes and clocks go in, its effects are carried out."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from tailrace.emulator.faults.effects import FaultEffect
from tailrace.emulator.faults.fault import Fault
from tailrace.emulator.faults.runner import FaultRunner
from tailrace.emulator.function import FunctionConfig, Invocation
from tailrace.emulator.identifiers import IDS
from tailrace.emulator.invocations import InvocationQueue, PendingInvocation
from tailrace.emulator.isolation.furnishing import namespace_starter
from tailrace.emulator.ledger_line import LedgerWatch
from tailrace.emulator.limits.memory_watch import MemoryWatch
from tailrace.emulator.limits.resources import MB, Resources
from tailrace.emulator.linux import require_linux
from tailrace.emulator.machine import effects, facts
from tailrace.emulator.machine.environment import Environment
from tailrace.emulator.observer import InvocationResult, Observer, ProcessExit, SilentObserver
from tailrace.emulator.processes.process_environment import extension_variables, process_environment
from tailrace.emulator.processes.sandbox import ProcessStartError, Sandbox
from tailrace.emulator.servers.api_server import ApiServer
from tailrace.emulator.steady_clock import SteadyClock
from tailrace.emulator.telemetry.log import NoTelemetryLog, TelemetryCounts, TelemetryEntry, TelemetryLog
from tailrace.emulator.telemetry.sender import TelemetrySender
from tailrace.emulator.timers import Timers
from tailrace.emulator.workspace import Workspace
from tailrace.errors import EnvironmentEndedError, EnvironmentStartError
from tailrace.protocol import extensions_api, runtime_api

_FINISH_LIMIT_S = 2.0
_SHUTDOWN_LIMIT_S = 10.0
"""Far beyond the platform's own budget: reached only when the machine does not end."""

_EXTENSION_PREFIX = facts.extension_process("")


class Machine(Protocol):
    """What the driver needs of `tailrace.emulator.machine`."""

    def handle(self, fact: facts.Fact, now_ns: int) -> Sequence[effects.Effect | FaultEffect]: ...


MachineFactory = Callable[[FunctionConfig, str, Mapping[str, str]], Machine]
"""Makes the machine from the function, the address of the in-sandbox API, and variables for extensions."""


def make_machine(config: FunctionConfig, api_address: str, extension_variables: Mapping[str, str]) -> Environment:
    """The real one."""
    return Environment(config, IDS.uuid, api_address, extra=extension_variables)


class ExecutionEnvironment:
    """One local execution environment of a function, with real processes.

    ::

        async with ExecutionEnvironment(config, observer) as environment:
            await environment.start()
            result = await environment.invoke(new_invocation(b"{}", environment.now_ns()))

    Leaving the block shuts the environment down and leaves no process behind. `workspace` is where its files
    lie, for example merged layers; without one it makes its own. `now_ns` counts nanoseconds since 1970 and
    never goes back. `record_telemetry` may be switched off where an environment lives long.
    """

    def __init__(
        self,
        config: FunctionConfig,
        observer: Observer | None = None,
        *,
        workspace: Workspace | None = None,
        now_ns: Callable[[], int] | None = None,
        machine_factory: MachineFactory = make_machine,
        record_telemetry: bool = True,
    ) -> None:
        self.config = config
        self.now_ns = now_ns or SteadyClock()
        self._observer: Observer = observer or SilentObserver()
        self._workspace = workspace
        self._owns_workspace = workspace is None
        self._machine_factory = machine_factory
        self._started = False
        self._closed = False
        self._machine: Machine | None = None
        self._facts: deque[facts.Fact] = deque()
        self._handling = False
        self._generation = 0
        self._failure: BaseException | None = None
        self._start_failure = ""
        self._exits: dict[str, ProcessExit] = {}
        self._ledger = LedgerWatch()
        self._telemetry_log = TelemetryLog() if record_telemetry else NoTelemetryLog()
        self._commands = {facts.RUNTIME: config.runtime_command} | {
            facts.extension_process(extension.name): (str(extension.path),) for extension in config.extensions
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.shutdown()

    # life

    async def start(self) -> None:
        """Initialise the environment; returns when the init phase has ended.

        That is so too when it failed: Lambda tries again at the first invocation (lambda-platform.md 4.2).
        Raises `EnvironmentStartError` when the environment's processes cannot be started at all.
        """
        if self._started:
            raise RuntimeError("an environment is started once")
        require_linux()
        await self._build()
        self._feed(facts.InitRequested())
        await self._init_ended
        if self._start_failure:
            raise EnvironmentStartError(self._start_failure)

    async def _build(self) -> None:
        loop = asyncio.get_running_loop()
        self._init_ended: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[str] = loop.create_future()
        self._queue = InvocationQueue(self._begin_invocation)
        self._timers = Timers(self.now_ns, lambda name: self._feed(facts.TimerFired(name)))
        self._faults = FaultRunner(self._feed, self._observer.fault_happened)
        self._sender = TelemetrySender(self._faults.answered)
        self._api = ApiServer(self._http_happened, self.now_ns)
        if self._workspace is None:
            self._workspace = Workspace.create()
        await self._open(self._workspace)
        self._memory_watch = MemoryWatch(self._sandbox, self._resources, self._feed)
        self._faults.attach(self._sandbox, self._sender, self._api)
        self._started = True
        variables = extension_variables(self.config, self._workspace.spool_dir)
        self._machine = self._machine_factory(self.config, self._api.address, variables)

    async def _open(self, workspace: Workspace) -> None:
        """What takes something of this machine, all of it or nothing."""
        has_namespaces = self.config.isolation.has_namespaces
        async with contextlib.AsyncExitStack() as undo:
            starter = namespace_starter(self.config, workspace) if has_namespaces else None
            if starter is not None:
                undo.callback(starter.close)
            try:
                await self._api.start()
            except OSError as error:
                raise EnvironmentStartError(f"cannot listen on 127.0.0.1: {error.strerror}") from error
            undo.push_async_callback(self._api.stop)
            workspace.bind_address(self._api.address)
            own_tmp_mb = self.config.tmp_mb if has_namespaces else 0
            self._resources = Resources.open(self.config.memory_mb, self.config.cpu, workspace, own_tmp_mb=own_tmp_mb)
            self._sandbox = Sandbox(self, self.config.code_dir, starter=starter)
            undo.pop_all()

    def submit(self, invocation: Invocation) -> PendingInvocation:
        """Hand in an invocation; it runs when those before it are closed.

        Raises `EnvironmentEndedError` when the environment has ended.
        """
        if not self._started:
            raise RuntimeError("the environment has not been started")
        if self._failure is not None:
            raise self._failure
        if self._ended.done():
            raise EnvironmentEndedError("the execution environment has ended")
        pending = PendingInvocation(invocation)
        self._queue.add(pending)
        return pending

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        """Run one invocation and wait until it has closed for the platform."""
        return await self.submit(invocation).closed

    def freeze(self) -> None:
        """Let every process stand still now, whatever it is doing, until `thaw`, the next invocation or the end.

        Deadlines run on. Without effect before the first init and while the environment is reset or shut down.
        """
        self._feed(facts.FreezeRequested())

    def thaw(self) -> None:
        """Let every process go on. An idle environment then runs until its next invocation is done."""
        self._feed(facts.ThawRequested())

    def inject(self, fault: Fault) -> None:
        """Let something go wrong: at once, or at its moment. Takes a machine that knows faults."""
        self._feed(facts.FaultRequested(fault))

    async def shutdown(self) -> None:
        """End the environment as Lambda does (reason ``spindown``) and clean up. May be called twice."""
        try:
            if self._machine is not None and not self._ended.done():
                await self._let_extensions_finish()
                self._feed(facts.ShutdownRequested())
                await asyncio.wait([self._ended], timeout=_SHUTDOWN_LIMIT_S)
        finally:
            await self._close()

    async def _let_extensions_finish(self) -> None:
        """Where the invoker has its answer already, the rest of the invocation: Lambda reclaims idle environments."""
        current = self._queue.current
        if current is not None and current.answered.done():
            self.thaw()
            await asyncio.wait([current.closed.future()], timeout=_FINISH_LIMIT_S)

    async def _close(self) -> None:
        self._machine = None
        if self._started and not self._closed:
            self._closed = True
            self._timers.clear()
            self._memory_watch.stop()
            if not self._ended.done():
                self._ended.set_result(extensions_api.FAILURE)
            self._queue.fail_all(EnvironmentEndedError("the execution environment has ended"))
            try:
                await self._sandbox.close()
            finally:
                self._resources.close()
                await self._faults.close()
                await self._sender.close()
                await self._api.stop()
        if self._workspace is not None and self._owns_workspace:
            self._workspace.close()

    # what became of it

    @property
    def isolation(self) -> str:
        """The level in force: ``process`` or ``namespace``."""
        return self.config.isolation.level

    @property
    def process_exits(self) -> Mapping[str, ProcessExit]:
        """The last end of each process: ``runtime`` and each extension by name."""
        return dict(self._exits)

    @property
    def extension_exits(self) -> dict[str, int | str]:
        """Exit code or signal of each extension that has ended, by name."""
        return {name: exit_.status for name, exit_ in self._exits.items() if exit_.is_extension}

    @property
    def telemetry_log(self) -> tuple[TelemetryEntry, ...]:
        """One entry for each event and subscriber, and one without subscriber for an event that nobody got.

        Of very many only the newest; `telemetry_counts` tells of all.
        """
        return self._telemetry_log.entries()

    @property
    def telemetry_counts(self) -> TelemetryCounts:
        """How many events each subscriber was given and acknowledged, and how many are not in `telemetry_log`."""
        return self._telemetry_log.counts()

    @property
    def ledger(self) -> Mapping[str, object] | None:
        """What the agent's ledgers say together, over all generations of its process; None where the last one was
        killed before it printed its own, or no agent is there."""
        return self._ledger.total

    # facts

    def _feed(self, fact: facts.Fact) -> None:
        """Tell the machine and carry out what it wants. Facts that arise meanwhile wait their turn."""
        self._facts.append(fact)
        if self._handling:
            return
        self._handling = True
        try:
            while self._facts and self._machine is not None and self._failure is None and not self._ended.done():
                for effect in self._machine.handle(self._facts.popleft(), self.now_ns()):
                    execute = _EXECUTE.get(type(effect))
                    if execute is not None:
                        execute(self, effect)
                    else:
                        self._faults.execute(effect)
        except Exception as error:  # noqa: BLE001 - a fault of ours must end the environment, not hang it
            self._fail(error)
        finally:
            self._handling = False
        if self._failure is not None or self._ended.done():
            self._facts.clear()

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._queue.fail_all(error)
        if not self._init_ended.done():
            self._init_ended.set_exception(error)
        if not self._ended.done():
            self._ended.set_result(extensions_api.FAILURE)

    def _http_happened(self, fact: facts.HttpRequested | facts.HttpAbandoned) -> None:
        self._sandbox.drain()
        if isinstance(fact, facts.HttpRequested):
            if fact.path == runtime_api.NEXT:  # whatever was printed belongs to the invocation that ends here
                self._sandbox.finish_line(facts.RUNTIME)
            self._memory_watch.request_came(fact.path)
        self._feed(fact)

    def _begin_invocation(self, pending: PendingInvocation) -> None:
        self._observer.invocation_started(pending.invocation)
        self._feed(facts.InvokeRequested(pending.invocation))

    # SandboxListener

    def lines_written(self, process: str, generation: int, texts: Sequence[str]) -> None:
        if process.startswith(_EXTENSION_PREFIX):
            for text in texts:
                self._ledger.line_written(process, text)
        self._feed(facts.LinesWritten(process, generation, tuple(texts)))

    def process_exited(self, process: str, generation: int, exit_code: int | None, signal_name: str | None) -> None:
        is_extension = process.startswith(_EXTENSION_PREFIX)
        name = process.removeprefix(_EXTENSION_PREFIX)
        exit_ = ProcessExit(name, is_extension, generation, exit_code, signal_name)
        self._exits[name] = exit_
        self._observer.process_exited(exit_)
        if signal_name == "SIGKILL" and self._resources.kernel_has_killed():
            self._feed(facts.MemoryLimitExceeded(self.config.memory_mb * MB, killed_by_kernel=True))
        self._feed(facts.ProcessExited(process, generation, exit_code, signal_name))

    def processes_changed(self, processes: Mapping[int, int]) -> None:
        assert self._workspace is not None
        self._workspace.record(processes)
        self._resources.adopt(processes)

    # effects

    def _spawn(self, effect: effects.SpawnProcess) -> None:
        self._ledger.process_started(effect.process)
        if effect.generation > self._generation:
            self._generation = effect.generation
            self._api.cut_all()  # a request of a killed process must not be taken for one of its successor
        self._memory_watch.process_started()
        environ = process_environment(effect.process, effect.environ, self.config)
        command = [self.config.as_seen(word) for word in self._commands[effect.process]]
        try:
            self._sandbox.start(effect.process, effect.generation, command, environ)
        except ProcessStartError as error:
            self._start_failure = f"cannot start {command[0]}: {error.detail}"
            self._feed(facts.ProcessNotSpawned(effect.process, effect.generation, error.error))

    def _signal(self, effect: effects.SignalProcess) -> None:
        self._sandbox.signal(effect.process, effect.generation, effect.signal)

    def _respond(self, effect: effects.Respond) -> None:
        self._api.respond(effect)

    def _set_timer(self, effect: effects.SetTimer) -> None:
        self._timers.set(effect.timer, effect.at_ns)

    def _cancel_timer(self, effect: effects.CancelTimer) -> None:
        self._timers.cancel(effect.timer)

    def _post_telemetry(self, effect: effects.PostTelemetry) -> None:
        self._sender.post(effect)

    def _connect_subscriber(self, effect: effects.ConnectSubscriber) -> None:
        self._sender.connect(effect)

    def _abandon_telemetry(self, effect: effects.AbandonTelemetry) -> None:
        self._faults.abandon(effect.delivery)
        self._sender.abandon(effect.delivery)

    def _freeze(self, _effect: effects.Freeze) -> None:
        self._sandbox.freeze()
        self._memory_watch.froze()
        self._observer.frozen()

    def _thaw(self, _effect: effects.Thaw) -> None:
        self._sandbox.thaw()
        self._memory_watch.thawed()
        self._observer.thawed()

    def _answer_invoker(self, effect: effects.AnswerInvoker) -> None:
        if self._queue.current is not None:
            self._queue.current.answer(effect.answer)
        self._observer.invocation_answered(effect.answer)

    def _close_invocation(self, effect: effects.CloseInvocation) -> None:
        """The invocation's last lines are written by now. The next one begins after what follows this effect."""
        current = self._queue.current
        if current is not None:
            self._observer.invocation_closed(current.close(effect.report))
            self._queue.finish_current()

    def _write_log(self, effect: effects.WriteLog) -> None:
        current = self._queue.current
        if current is not None and effect.request_id == current.invocation.request_id:
            current.log.append(effect)
        self._observer.log_written(effect)

    def _publish_event(self, effect: effects.PublishEvent) -> None:
        self._telemetry_log.published(effect)

    def _queue_event(self, effect: effects.QueueEvent) -> None:
        self._telemetry_log.queued(effect)

    def _confirm_delivery(self, effect: effects.ConfirmDelivery) -> None:
        self._telemetry_log.confirmed(effect, self.now_ns())

    def _report_init(self, effect: effects.ReportInit) -> None:
        self._resources.init_ended()
        self._observer.init_reported(effect)
        if not self._init_ended.done():
            self._init_ended.set_result(None)

    def _end(self, effect: effects.EndEnvironment) -> None:
        error = EnvironmentEndedError(f"the execution environment has ended ({effect.reason})")
        self._queue.fail_all(error)
        if not self._init_ended.done():
            self._init_ended.set_exception(EnvironmentStartError(str(error)))
        if not self._ended.done():
            self._ended.set_result(effect.reason)
        self._observer.environment_ended(effect.reason)


_EXECUTE: dict[type[Any], Callable[[ExecutionEnvironment, Any], None]] = {
    effects.SpawnProcess: ExecutionEnvironment._spawn,
    effects.SignalProcess: ExecutionEnvironment._signal,
    effects.Respond: ExecutionEnvironment._respond,
    effects.SetTimer: ExecutionEnvironment._set_timer,
    effects.CancelTimer: ExecutionEnvironment._cancel_timer,
    effects.PostTelemetry: ExecutionEnvironment._post_telemetry,
    effects.ConnectSubscriber: ExecutionEnvironment._connect_subscriber,
    effects.AbandonTelemetry: ExecutionEnvironment._abandon_telemetry,
    effects.Freeze: ExecutionEnvironment._freeze,
    effects.Thaw: ExecutionEnvironment._thaw,
    effects.AnswerInvoker: ExecutionEnvironment._answer_invoker,
    effects.CloseInvocation: ExecutionEnvironment._close_invocation,
    effects.WriteLog: ExecutionEnvironment._write_log,
    effects.PublishEvent: ExecutionEnvironment._publish_event,
    effects.QueueEvent: ExecutionEnvironment._queue_event,
    effects.ConfirmDelivery: ExecutionEnvironment._confirm_delivery,
    effects.ReportInit: ExecutionEnvironment._report_init,
    effects.EndEnvironment: ExecutionEnvironment._end,
}
