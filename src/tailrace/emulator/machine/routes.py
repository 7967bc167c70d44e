"""Which path of the in-sandbox API is what, and which method it allows."""

from __future__ import annotations

from tailrace.emulator.machine.states import CALL_ERROR, CALL_RESPONSE
from tailrace.protocol import credentials_api, extensions_api, logs_api, metadata_api, runtime_api, telemetry_api

PING = "ping"
RUNTIME_NEXT = "runtime next"
RUNTIME_RESPONSE = "runtime response"
RUNTIME_ERROR = "runtime error"
RUNTIME_INIT_ERROR = "runtime init/error"
REGISTER = "extension register"
EXTENSION_NEXT = "extension next"
EXTENSION_INIT_ERROR = "extension init/error"
EXTENSION_EXIT_ERROR = "extension exit/error"
TELEMETRY = "telemetry"
LOGS = "logs"
METADATA = "metadata"
CREDENTIALS = "credentials"

ANY_METHOD = ""
"""The route looks at the method itself."""

# each path with its route and the one method that it allows
_FIXED = {
    runtime_api.PING: (PING, "GET"),
    runtime_api.NEXT: (RUNTIME_NEXT, "GET"),
    runtime_api.INIT_ERROR: (RUNTIME_INIT_ERROR, "POST"),
    extensions_api.REGISTER: (REGISTER, "POST"),
    extensions_api.NEXT: (EXTENSION_NEXT, "GET"),
    extensions_api.INIT_ERROR: (EXTENSION_INIT_ERROR, "POST"),
    extensions_api.EXIT_ERROR: (EXTENSION_EXIT_ERROR, "POST"),
    telemetry_api.PATH: (TELEMETRY, "PUT"),
    logs_api.PATH: (LOGS, "PUT"),
    metadata_api.PATH: (METADATA, ANY_METHOD),
    metadata_api.PATH + "/": (METADATA, ANY_METHOD),
    credentials_api.PATH: (CREDENTIALS, ANY_METHOD),
}
_OF_AN_INVOCATION = {CALL_RESPONSE: RUNTIME_RESPONSE, CALL_ERROR: RUNTIME_ERROR}


def find_route(path: str) -> tuple[str, str, str] | None:
    """Route, allowed method and request id (empty for most) of a path, or None where nothing is there."""
    fixed = _FIXED.get(path)
    if fixed is not None:
        return (*fixed, "")
    found = runtime_api.split_invocation_path(path)
    if found is None:
        return None
    request_id, word = found
    return (_OF_AN_INVOCATION[word], "POST", request_id)
