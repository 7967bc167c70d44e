"""Runs the launcher's own stub and writes down which modules are loaded, when.

Started in the place of the interpreter: ``python observer.py FOLDER -I -S -E -B -c STUB CODE NAME ...``. In FOLDER
it leaves ``bare`` (before the agent), ``next`` (when the call to Next is on the wire), and ``now`` at each SIGUSR1.
It imports nothing that the interpreter has not loaded already.
"""

import _signal  # type: ignore[import-not-found]  # the stubs know only its wrapper, which would be one more module
import _thread
import posix
import sys


def note(name: str) -> None:
    """Write the names of all modules that are loaded, whole or not at all."""
    path = f"{folder}/{name}"
    descriptor = posix.open(path + ".part", posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, 0o600)
    posix.write(descriptor, "\n".join(list(sys.modules)).encode())
    posix.close(descriptor)
    posix.rename(path + ".part", path)


def note_when_asked() -> None:
    """On a thread of its own: a handler runs when the main thread wakes up, and that one waits for events."""
    while True:
        _signal.sigwait((_signal.SIGUSR1,))
        note("now")


folder, stub = sys.argv[1], sys.argv[7]
sys.argv[:] = ["-c", *sys.argv[8:]]
note("bare")
_signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGUSR1,))
_thread.start_new_thread(note_when_asked, ())
sys.path.insert(0, sys.argv[1])

from tailrace.agent.start import FastStart  # noqa: E402 - after the path

import_the_rest = FastStart.import_the_rest


def observed(self: FastStart) -> None:
    note("next")
    FastStart.import_the_rest = import_the_rest  # type: ignore[method-assign]  # the original again
    import_the_rest(self)


FastStart.import_the_rest = observed  # type: ignore[method-assign]  # nothing else tells that moment
exec(stub)
