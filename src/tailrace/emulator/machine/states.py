"""Which call is allowed in which state, as data (lambda-platform.md 2.8, 3.3). State names are the platform's own."""

from __future__ import annotations

STARTED = "Started"
REGISTERED = "Registered"
READY = "Ready"
RUNNING = "Running"
INIT_ERROR = "InitError"
EXIT_ERROR = "ExitError"
LAUNCH_ERROR = "LaunchError"
RESPONSE_SENT = "RuntimeResponseSentState"

CALL_REGISTER = "register"
CALL_NEXT = "next"
CALL_INIT_ERROR = "init/error"
CALL_EXIT_ERROR = "exit/error"
CALL_RESPONSE = "response"
CALL_ERROR = "error"

EXTENSION_MOVES: dict[tuple[str, str], str] = {
    (STARTED, CALL_REGISTER): REGISTERED,
    (REGISTERED, CALL_NEXT): READY,
    (RUNNING, CALL_NEXT): READY,
    (REGISTERED, CALL_INIT_ERROR): INIT_ERROR,
    (INIT_ERROR, CALL_INIT_ERROR): INIT_ERROR,
    (REGISTERED, CALL_EXIT_ERROR): EXIT_ERROR,
    (READY, CALL_EXIT_ERROR): EXIT_ERROR,
    (RUNNING, CALL_EXIT_ERROR): EXIT_ERROR,
    (EXIT_ERROR, CALL_EXIT_ERROR): EXIT_ERROR,
}

RUNTIME_MOVES: dict[tuple[str, str], str] = {
    (STARTED, CALL_NEXT): READY,
    (READY, CALL_NEXT): READY,
    (RUNNING, CALL_NEXT): RUNNING,  # the same event once more
    (RESPONSE_SENT, CALL_NEXT): READY,
    (RUNNING, CALL_RESPONSE): RESPONSE_SENT,
    (RUNNING, CALL_ERROR): RESPONSE_SENT,
    (STARTED, CALL_INIT_ERROR): INIT_ERROR,
}

TARGETS: dict[str, str] = {
    CALL_REGISTER: REGISTERED,
    CALL_NEXT: READY,
    CALL_INIT_ERROR: INIT_ERROR,
    CALL_EXIT_ERROR: "Exited",
    CALL_RESPONSE: "InvocationResponse",
    CALL_ERROR: "InvocationErrorResponse",
}
"""The state that a refusal's text names as the one that was wanted (as recorded)."""
