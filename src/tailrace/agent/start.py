"""The fast start: what stands between the launcher and the first call to Next.

Lambda starts the runtime only after every extension has registered, and ends init only after each has called
Next (lambda-platform.md 4.1). So this module, and the client beside it, import built-in modules only; all else
is imported on a second thread once the call to Next is on the wire. Telemetry that comes earlier waits in the
kernel's accept queue.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the stubs know only its wrapper, which costs an import of enum
import _socket
import _thread
import posix
import sys
import time

from tailrace.agent.lambda_api import ApiReply, LambdaApi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tailrace.agent.app import App

EXTENSION = "/2020-01-01/extension"
TELEMETRY = "/2022-07-01/telemetry"
# The platform delivers to `sandbox.localdomain`, which is not the loopback address.
ANY_HOST = "0.0.0.0"  # noqa: S104 - the sandbox has no other neighbours
BACKLOG = 64
# As in `tailrace.config.places`, which is not imported yet.
CONFIG_PLACES = ("/var/task/tailrace.toml", "/opt/tailrace.toml")
CONFIG_MAX_BYTES = 1_048_576
REGISTER_ATTEMPTS = 5
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
# Where an event states no deadline; SHUTDOWN always does (lambda-platform.md 2.5).
UNSTATED_DEADLINE_S = 2.0
LONGEST_S = 86_400.0  # no lock can be waited for as long as a number may say
# For every thread. Address space until it is touched; the default is 8 MiB.
STACK_BYTES = 1024 * 1024
# Lambda ends an extension with an event, or kills it. Elsewhere there is a signal, and this much patience.
TERMINATION_S = 1.5
TERMINATED = 128 + 15  # SIGTERM, as a shell would say it
MANAGED_INSTANCES = b"lambda-managed-instances"


class FastStart:
    """What the fast start leaves for the second thread, and what that hands back."""

    __slots__ = ("_ready", "app", "listener", "parent", "register_reply", "started", "telemetry")

    def __init__(self) -> None:
        self.listener: _socket.socket | None = None
        self.register_reply = b""
        # True where the platform accepted the subscription: only then will telemetry come.
        self.telemetry = False
        self.started = False
        self.parent = posix.getppid()
        self.app: App | None = None
        self._ready = _thread.allocate_lock()
        self._ready.acquire()

    def import_the_rest(self) -> None:
        """Start the second thread, once, and the one that waits for the signal to leave."""
        if not self.started:
            self.started = True
            _thread.stack_size(STACK_BYTES)
            # Threads inherit it. The handler would run when the main thread next wakes up, and that may be never: where
            # it was about to block in a call it does so all the same.
            _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM,))
            _thread.start_new_thread(second_thread, (self,))
            _thread.start_new_thread(wait_for_termination, (self,))

    def settled(self) -> None:
        """The second thread is done, well or badly: nobody waits for it any more."""
        self._ready.release()

    def app_within(self, wait_s: float) -> App | None:
        """The application, waiting for it at most `wait_s`; None where it is not there (yet)."""
        if self.app is None and self._ready.acquire(timeout=max(0.0, wait_s)):
            self._ready.release()
        return self.app


def main(name: str) -> NoReturn:
    """Run the extension that is registered as `name`, the base name of its file. Does not return."""
    open_standard_streams()
    address = environment(b"AWS_LAMBDA_RUNTIME_API")
    if not address.rpartition(":")[2].isdigit():
        found = f"is {address}, not HOST:PORT" if address else "is not set"
        say("error", f"AWS_LAMBDA_RUNTIME_API {found}: this program is started by Lambda, as an extension")
        posix._exit(1)
    _signal.signal(_signal.SIGTERM, lambda *_: posix._exit(TERMINATED))  # nothing is held yet
    fast = FastStart()
    fast.listener = bind_listener()
    api = LambdaApi(address)
    identifier = register(api, name, fast)
    if fast.listener is not None:
        subscribe(api, identifier, fast)
    serve(api, identifier, fast)


def open_standard_streams() -> None:
    """Fill the places of standard streams that are closed: a socket would take them, and our lines would go there."""
    for descriptor in (0, 1, 2):
        try:
            posix.fstat(descriptor)
        except OSError:
            posix.open("/dev/null", posix.O_RDWR)  # takes the lowest that is free: this one


def bind_listener() -> _socket.socket | None:
    """The socket that telemetry comes to, bound and listening. None (and said) where none can be.

    On Lambda the platform reaches `sandbox.localdomain`, so every address is bound (lambda-platform.md 5.5). A
    host that cannot be used gives way to that default, like every other setting.
    """
    host = environment(b"TAILRACE_LISTEN_HOST").strip()
    if host:
        try:
            return listening_on(host)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a setting, the default does
            say("error", f"TAILRACE_LISTEN_HOST: cannot listen on {host[:60]}: {error}; the default {ANY_HOST} is used")
    try:
        return listening_on(ANY_HOST)
    except OSError as error:
        say("error", f"cannot listen on {ANY_HOST}: {error}; no telemetry will be received")
        return None


def listening_on(host: str) -> _socket.socket:
    """A listening socket on a free port of `host`."""
    listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        listener.bind((host, 0))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def register(api: LambdaApi, name: str, fast: FastStart) -> str:
    """Register and return the identifier. When the platform keeps refusing, this process stays, silent: an
    extension that exits fails the function's init at once (lambda-platform.md 4.5)."""
    managed = posix.environ.get(b"AWS_LAMBDA_INITIALIZATION_TYPE") == MANAGED_INSTANCES
    body = b'{"events":["SHUTDOWN"]}' if managed else b'{"events":["INVOKE","SHUTDOWN"]}'
    headers = (
        f"Lambda-Extension-Name: {name}\r\nLambda-Extension-Accept-Feature: accountId\r\n"
        "Content-Type: application/json\r\n"
    )
    attempt = 0
    while True:
        reply, problem = attempted(api, "POST", EXTENSION + "/register", headers, body)
        if reply is not None and reply.status == 200:
            fast.register_reply = reply.body
            return reply.header(b"lambda-extension-identifier").decode("ascii", "replace")
        attempt += 1
        if attempt == REGISTER_ATTEMPTS:
            say("error", f"register failed {attempt} times: no telemetry is delivered by this process")
            stand_still()
        if attempt == 1:
            say("error", f"register failed: {problem}")
        time.sleep(FIRST_PAUSE_S * 2**attempt)


def subscribe(api: LambdaApi, identifier: str, fast: FastStart) -> None:
    """Subscribe to telemetry. 202 means `not supported, nothing will come` (lambda-platform.md 5.2)."""
    assert fast.listener is not None
    port = fast.listener.getsockname()[1]
    types = ",".join(f'"{kind}"' for kind in wanted_types())
    managed = posix.environ.get(b"AWS_LAMBDA_INITIALIZATION_TYPE") == MANAGED_INSTANCES
    schema = "2025-01-29" if managed else "2022-12-13"
    body = (
        f'{{"schemaVersion":"{schema}","types":[{types}],'
        '"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":25},'
        f'"destination":{{"protocol":"HTTP","URI":"http://sandbox.localdomain:{port}"}}}}'
    )
    headers = f"Lambda-Extension-Identifier: {identifier}\r\nContent-Type: application/json\r\n"
    reply, problem = attempted(api, "PUT", TELEMETRY, headers, body.encode("ascii"))
    if reply is not None and reply.status == 200:
        fast.telemetry = True
    elif reply is not None and reply.status == 202:
        say("warn", "the Telemetry API is not supported here: no telemetry will come")
    else:
        say("error", f"the subscription to telemetry was refused: {problem}; no telemetry will come")


def wanted_types() -> list[str]:
    """What to subscribe to: `platform` always (it carries runtimeDone), and what `TAILRACE_TYPES` asks for. A word
    that is no type makes the default hold; the configuration is who says so. A configuration file cannot be decoded
    yet: what it names anywhere is subscribed to as well, and sorted out when it comes."""
    words = environment(b"TAILRACE_TYPES").replace(",", " ").lower().split()
    if not words or not {"platform", "function", "extension"}.issuperset(words):
        words = ["function"]
    file = config_file()
    return ["platform"] + [kind for kind in ("function", "extension") if kind in words or kind.encode() in file]


def config_file() -> bytes:
    """The bytes of the configuration file, if there is one."""
    named = environment(b"TAILRACE_CONFIG_FILE").strip()
    for path in (named,) if named else CONFIG_PLACES:
        try:
            descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
        except (OSError, ValueError):
            continue
        try:
            return posix.read(descriptor, CONFIG_MAX_BYTES)
        except OSError:
            return b""  # a folder: whoever reads the settings says so
        finally:
            posix.close(descriptor)
    return b""


def serve(api: LambdaApi, identifier: str, fast: FastStart) -> NoReturn:
    """Call Next, for ever: whatever goes wrong with an event, the next one is asked for."""
    headers = f"Lambda-Extension-Identifier: {identifier}\r\n"
    failed = False
    while True:
        body = next_event(api, headers, fast)
        try:
            handle(body, fast)
        except BaseException as error:  # noqa: BLE001 - fail open: the function must not pay for our mistakes
            if not failed:
                failed = True
                say("error", f"an event could not be handled: {type(error).__name__}")
        if is_shutdown(body):
            posix._exit(0)


def handle(body: bytes, fast: FastStart) -> None:
    """Give the event to the application, if it stands within the event's deadline. An invocation of which no
    telemetry will tell is not worth a wait."""
    app = fast.app
    if app is None:
        idle = not fast.telemetry and not is_shutdown(body)
        app = fast.app_within(0.0 if idle else deadline_left_s(body) - margin_s())
    if app is not None:
        app.handle_event(body)


def next_event(api: LambdaApi, headers: str, fast: FastStart) -> bytes:
    """The body of the next event. Failures are said once and tried again, without end."""
    pause_s = FIRST_PAUSE_S
    while True:
        reply, problem = attempted(api, "GET", EXTENSION + "/event/next", headers, b"", fast)
        if reply is not None and reply.status == 200:
            return reply.body
        fast.import_the_rest()
        if pause_s == FIRST_PAUSE_S:
            say("error", f"event/next failed: {problem}")
        if reply is None and posix.getppid() != fast.parent:
            # The API is gone and so is the process that started us: there is no environment any more.
            posix._exit(0)
        time.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


def attempted(
    api: LambdaApi, method: str, path: str, headers: str, body: bytes, fast: FastStart | None = None
) -> tuple[ApiReply | None, str]:
    """The reply, or None, and what to say where it is not a success."""
    try:
        reply = api.request(method, path, headers, body, fast.import_the_rest if fast is not None else None)
    except Exception as error:  # noqa: BLE001 - whatever happened, the platform is asked again
        return None, f"no reply ({type(error).__name__}: {error})"
    return reply, f"status {reply.status} {reply.body[:300].decode('ascii', 'replace')}"


def second_thread(fast: FastStart) -> None:
    """Import and build everything else, then take in telemetry for as long as the process lives."""
    try:
        from tailrace.agent.assembly import build_app

        app = build_app(fast.register_reply, fast.telemetry, fast.listener)
        fast.app = app
    except BaseException as error:  # noqa: BLE001 - fail open: Next is called without an application, too
        # Its text is shown only where it can hold no secret: that of a module which cannot be imported.
        kind = type(error).__name__
        found = f"{kind}: {error}" if isinstance(error, (ImportError, SyntaxError)) else kind
        say("error", f"the agent could not be built: {found}; no telemetry is delivered")
        if fast.listener is not None:
            fast.listener.close()
        return
    finally:
        fast.settled()
    try:
        app.receive()
    except BaseException as error:  # noqa: BLE001 - fail open: what was received is still delivered
        say("error", f"the listener failed: {type(error).__name__}; no more telemetry is received")


def wait_for_termination(fast: FastStart) -> None:
    """When the signal to leave comes deliver what is held, write the ledger, and leave. An extension that leaves is a
    reset: the environment goes on with another process, which finds what lies on disk."""
    _signal.sigwait((_signal.SIGTERM,))
    try:
        if fast.app is not None:
            fast.app.close(time.monotonic() + TERMINATION_S, keep=True)
    finally:
        posix._exit(TERMINATED)


def is_shutdown(body: bytes) -> bool:
    return member(body, b"eventType").startswith(b'"SHUTDOWN"')


def margin_s() -> float:
    """The distance kept from an event's deadline, while nobody can read the settings yet; who complains about a bad
    value is the configuration."""
    from tailrace.agent.early_margin import early_margin_s  # rarely needed: mostly the settings are there by then

    return early_margin_s(posix.environ, config_file())


def deadline_left_s(body: bytes) -> float:
    """Seconds until the `deadlineMs` (epoch milliseconds) of an event that is not decoded yet."""
    digits = member(body, b"deadlineMs")
    end = 0
    while end < 15 and digits[end : end + 1].isdigit():
        end += 1
    is_stated = 0 < end < 15  # more is no moment that anybody lives to see
    return min(int(digits[:end]) / 1000 - time.time(), LONGEST_S) if is_stated else UNSTATED_DEADLINE_S


def member(body: bytes, name: bytes) -> bytes:
    """What follows the first member `name` in a JSON text. The events are small objects of known members: this
    much is enough to wait and to leave before the decoder is imported."""
    _, _, rest = body.partition(b'"' + name + b'"')
    return rest.lstrip().removeprefix(b":").lstrip()


def environment(name: bytes) -> str:
    return posix.environ.get(name, b"").decode("utf-8", "surrogateescape")


def stand_still() -> NoReturn:
    while True:
        time.sleep(3600)


def say(level: str, message: str) -> None:
    """One line of our own before the real diagnostics are imported."""
    safe = "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in message)
    line = f'{{"type":"tailrace.log","level":"{level}","message":"{safe}"}}\n'
    try:
        posix.write(1, line.encode("ascii"))
    except OSError:
        # Nobody reads our output: there is nowhere left to say so.
        sys.exc_info()
