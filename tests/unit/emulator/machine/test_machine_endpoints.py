"""The endpoints of an environment's own: metadata, credentials; and the file that switches extensions off."""

from __future__ import annotations

import datetime
import json

import pytest

from support.machine_world import START_NS, Ids, World, ext
from tailrace.emulator.machine import effects as fx
from tailrace.emulator.machine import facts
from tailrace.emulator.machine.environment import Environment
from tailrace.emulator.machine.facts import RUNTIME
from tailrace.emulator.machine.policy import Policy
from tailrace.protocol import credentials_api, extensions_api, metadata_api, runtime_api, telemetry_api

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token" * 819 + "!"}


def environs(world: World) -> dict[str, dict[str, str]]:
    """The last environment of each process."""
    return {spawn.process: dict(spawn.environ) for spawn in world.of(fx.SpawnProcess)}


def token_of(world: World) -> str:
    return environs(world)[RUNTIME]["AWS_LAMBDA_METADATA_TOKEN"]


def metadata(world: World, authorization: str, method: str = "GET", path: str = metadata_api.PATH) -> fx.Respond:
    return world.reply(method, path, {"Authorization": authorization} if authorization else {})


def test_both_metadata_variables_are_in_runtime_and_extension() -> None:
    world = World("a")
    world.cold_start()
    for process in (RUNTIME, ext("a")):
        environ = environs(world)[process]
        assert environ["AWS_LAMBDA_METADATA_API"] == environ["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9001"
        assert environ["AWS_LAMBDA_METADATA_TOKEN"] == token_of(world)


def test_the_token_is_an_environments_own_and_survives_invocations_and_resets() -> None:
    world = World("a")
    world.cold_start()
    first = token_of(world)
    world.run_invocation()
    world.invoke()
    world.exit(RUNTIME, 1)
    world.exit(ext("a"))
    world.invoke()
    world.come_up()
    assert len(world.of(fx.SpawnProcess)) == 4
    assert token_of(world) == first
    assert metadata(world, f"Bearer {first}").status == 200


def test_the_token_may_change_with_a_reset() -> None:
    world = World(policy=Policy(metadata_token_survives_resets=False))
    world.cold_start()
    first = token_of(world)
    world.run_invocation()
    assert metadata(world, f"Bearer {first}").status == 200
    world.invoke()
    world.exit(RUNTIME, 1)
    world.invoke()
    assert token_of(world) != first
    assert metadata(world, f"Bearer {first}").status == 401
    assert metadata(world, f"Bearer {token_of(world)}").status == 200


def test_two_environments_have_two_tokens() -> None:
    ids = Ids()
    tokens = set()
    for _ in range(2):
        world = World()
        world.machine = Environment(world.config, ids, "127.0.0.1:9001")
        world.cold_start()
        tokens.add(token_of(world))
    assert len(tokens) == 2


@pytest.mark.parametrize("path", [metadata_api.PATH, metadata_api.PATH + "/"])
def test_who_has_the_token_reads_the_zone(path: str) -> None:
    world = World()
    world.cold_start()
    found = metadata(world, f"Bearer {token_of(world)}", path=path)
    assert (found.status, found.body) == (200, b'{"AvailabilityZoneID":"use1-az1"}')
    assert dict(found.headers) == {
        "Content-Type": "application/json",
        "Cache-Control": "private, max-age=43200, immutable",
    }


@pytest.mark.parametrize("authorization", ["", "Bearer nope", "Basic {}", "{}", "Bearer ", "Bearer", "bearer {}"])
def test_without_the_token_nobody_reads(authorization: str) -> None:
    world = World()
    world.cold_start()
    found = metadata(world, authorization.format(token_of(world)))
    assert (found.status, found.body) == (401, b"Unauthorized\n")
    assert dict(found.headers)["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("with_token", [True, False])
def test_the_method_is_looked_at_before_the_token(method: str, with_token: bool) -> None:
    world = World()
    world.cold_start()
    found = metadata(world, f"Bearer {token_of(world)}" if with_token else "", method)
    assert (found.status, found.body) == (405, b"Method Not Allowed\n")


@pytest.mark.parametrize("path", ["/2026-01-15/metadata/other", "/2026-01-15/metadata", "/2026-01-15/"])
def test_nothing_else_is_there(path: str) -> None:
    world = World()
    world.cold_start()
    found = metadata(world, f"Bearer {token_of(world)}", path=path)
    assert (found.status, found.body) == (404, b"404 page not found\n")


@pytest.mark.parametrize(
    ("region", "zone_id", "told"),
    [
        ("eu-central-1", "", "euc1-az1"),
        ("ap-southeast-2", "", "apse2-az1"),
        ("us-gov-west-1", "", "usgw1-az1"),
        ("us-east-1", "use1-az6", "use1-az6"),
    ],
)
def test_the_zone_is_the_regions_first_unless_it_is_set(region: str, zone_id: str, told: str) -> None:
    world = World(region=region, policy=Policy(availability_zone_id=zone_id))
    world.cold_start()
    assert json.loads(metadata(world, f"Bearer {token_of(world)}").body) == {"AvailabilityZoneID": told}


@pytest.mark.parametrize("region", ["local", "eu-central", "eu-nowhere-1", "eu-west-x"])
def test_a_region_like_no_other_has_no_zone_to_tell(region: str) -> None:
    world = World(region=region)
    world.cold_start()
    found = metadata(world, f"Bearer {token_of(world)}")
    assert (found.status, found.body) == (503, b"Service Unavailable\n")


def container(world: World, authorization: str | None = None, method: str = "GET") -> fx.Respond:
    token = environs(world)[RUNTIME].get(credentials_api.TOKEN_VARIABLE, "")
    return world.reply(
        method, credentials_api.PATH, {"Authorization": token if authorization is None else authorization}
    )


def with_container(**changes: object) -> World:
    world = World("a", policy=Policy(container_credentials=True), credentials=CREDENTIALS, **changes)
    world.cold_start()
    return world


def test_static_credentials_are_the_default_and_the_endpoint_is_not_there() -> None:
    world = World(credentials=CREDENTIALS)
    world.cold_start()
    environ = environs(world)[RUNTIME]
    assert {name: environ[name] for name in CREDENTIALS} == CREDENTIALS
    assert credentials_api.URI_VARIABLE not in environ
    assert (container(world, "").status, container(world, "", "POST").status) == (404, 404)


def test_container_credentials_stand_in_for_the_static_variables() -> None:
    world = with_container()
    for process in (RUNTIME, ext("a")):
        environ = environs(world)[process]
        assert not set(CREDENTIALS) & set(environ)
        assert environ[credentials_api.URI_VARIABLE] == "http://127.0.0.1:9001/2021-04-23/credentials"
        assert environ[credentials_api.TOKEN_VARIABLE] not in ("", environ["AWS_LAMBDA_METADATA_TOKEN"])


def test_who_has_the_token_reads_the_credentials_whole() -> None:
    assert len(CREDENTIALS["AWS_SESSION_TOKEN"]) == 4096
    world = with_container()
    found = container(world)
    document = json.loads(found.body)
    expires = datetime.datetime.fromisoformat(document.pop("Expiration"))
    assert document == {"AccessKeyId": "AKID", "SecretAccessKey": "secret", "Token": CREDENTIALS["AWS_SESSION_TOKEN"]}
    assert expires.timestamp() == START_NS / 1e9 + 21_600
    assert (found.status, dict(found.headers)) == (200, {"Content-Type": "text/plain; charset=utf-8"})


@pytest.mark.parametrize("authorization", ["", "nope", "Bearer {}"])
def test_credentials_are_kept_from_whoever_has_no_token(authorization: str) -> None:
    world = with_container()
    token = environs(world)[RUNTIME][credentials_api.TOKEN_VARIABLE]
    found = container(world, authorization.format(token))
    assert (found.status, found.body) == (404, b"cannot get credentials for the provided token\n")


def test_credentials_are_read_and_not_written() -> None:
    found = container(with_container(), method="POST")
    assert (found.status, found.headers, found.body) == (405, (("Allow", "GET"),), b"")


def test_with_extensions_disabled_none_is_started_and_only_their_own_api_is_gone() -> None:
    world = World("a", extensions_disabled=True)
    world.feed(facts.InitRequested())
    world.runtime_next()
    assert world.spawned() == [RUNTIME]
    name = {extensions_api.NAME: "inner"}
    for method, path in (
        ("POST", extensions_api.REGISTER),
        ("GET", extensions_api.NEXT),
        ("POST", extensions_api.INIT_ERROR),
        ("DELETE", extensions_api.EXIT_ERROR),
    ):
        found = world.reply(method, path, name, b'{"events":[]}')
        assert (found.status, found.headers, found.body) == (404, (), b"")
    assert world.reply("PUT", telemetry_api.PATH, {}, b"{}").status == 403
    assert world.reply("GET", runtime_api.PING).status == 200
    world.respond(world.invoke())
    world.runtime_next()
    assert world.reports()[0].status == "success"
    assert "platform.extension" not in world.types()
