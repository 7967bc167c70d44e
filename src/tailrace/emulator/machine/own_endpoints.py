"""What the environment serves of itself: where it runs, and the role's credentials (lambda-platform-2026.md 2,
lambda-platform.md 1.5)."""

from __future__ import annotations

from tailrace.clock import rfc3339_ms
from tailrace.emulator.machine.facts import HttpRequested
from tailrace.emulator.machine.http_reply import NOT_FOUND, HttpReply, json_reply, not_allowed, plain_error, text_reply
from tailrace.emulator.machine.sandbox_state import SandboxState
from tailrace.protocol import credentials_api, metadata_api

_NS_PER_S = 1_000_000_000


class OwnEndpoints:
    """Both are open to every process of the environment that knows the token from its variables."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def metadata(self, fact: HttpRequested) -> HttpReply:
        """The method is looked at first, then the token, then whether there is anything to tell (as recorded)."""
        if fact.method != metadata_api.METHOD:
            return plain_error(405, metadata_api.METHOD_NOT_ALLOWED_BODY)
        header = fact.headers.get(metadata_api.AUTHORIZATION.lower(), "")
        if not metadata_api.authorizes(header, self._state.metadata_token):
            return plain_error(401, metadata_api.UNAUTHORIZED_BODY)
        zone_id = self._state.policy.availability_zone_id or metadata_api.first_zone_id(self._state.config.region)
        if not zone_id:
            return plain_error(503, metadata_api.UNAVAILABLE_BODY)
        return json_reply(200, metadata_api.document(zone_id), metadata_api.CACHE_CONTROL)

    def credentials(self, fact: HttpRequested) -> HttpReply:
        """There only where processes are told of it; the token comes without a scheme (as recorded)."""
        policy = self._state.policy
        if not policy.container_credentials:
            return NOT_FOUND
        if fact.method != credentials_api.METHOD:
            return not_allowed(credentials_api.METHOD)
        if fact.headers.get(credentials_api.AUTHORIZATION.lower(), "") != self._state.credentials_token:
            return plain_error(404, credentials_api.REFUSED_BODY)
        expires_s = self._state.stage.now_ns / _NS_PER_S + policy.container_credentials_lifetime_s
        return text_reply(200, credentials_api.document(self._state.config.credentials, rfc3339_ms(expires_s)))
