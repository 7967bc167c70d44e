"""What real processes read of their environment: variables, metadata, credentials, and the file that disables."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.emulator_async import run
from support.emulator_extensions import ShellExtension, shell_runtime
from support.emulator_runs import environment, executable, invoke
from tailrace.emulator.driver import MachineFactory
from tailrace.emulator.function import FunctionConfig
from tailrace.emulator.machine.environ import HIDDEN_FROM_EXTENSIONS
from tailrace.emulator.machine.environment import Environment
from tailrace.emulator.machine.policy import Policy

READ_METADATA = """
import http.client, json, os
def read_metadata():
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_METADATA_API"], timeout=5)
    headers = {"Authorization": "Bearer " + os.environ["AWS_LAMBDA_METADATA_TOKEN"]}
    connection.request("GET", "/2026-01-15/metadata/execution-environment", headers=headers)
    reply = connection.getresponse()
    return [reply.status, reply.getheader("Cache-Control"), json.loads(reply.read()), dict(os.environ)]
"""

EXTENSION = f"""#!{sys.executable} -IS
{READ_METADATA}
print(json.dumps(read_metadata()), flush=True)
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
name = os.path.basename(__file__)
api.request("POST", "/2020-01-01/extension/register", '{{"events":["SHUTDOWN"]}}', {{"Lambda-Extension-Name": name}})
reply = api.getresponse()
reply.read()
own = {{"Lambda-Extension-Identifier": reply.getheader("Lambda-Extension-Identifier")}}
api.request("GET", "/2020-01-01/extension/event/next", headers=own)
api.getresponse().read()
"""


def with_policy(policy: Policy) -> MachineFactory:
    def make(config: FunctionConfig, api_address: str, variables: Mapping[str, str]) -> Environment:
        return Environment(config, lambda: str(uuid.uuid4()), api_address, policy, variables)

    return make


def test_function_and_extension_read_the_zone_with_the_token_of_their_variables(tmp_path: Path) -> None:
    extension = executable(tmp_path / "reader", EXTENSION)
    source = READ_METADATA + "\ndef handler(event, context):\n    return read_metadata()\n"

    async def main() -> None:
        region = {"AWS_REGION": "eu-west-1"}
        async with environment(tmp_path, source, extensions=[extension], variables=region) as (env, story):
            by_function = json.loads((await invoke(env)).answer.payload)
            again = json.loads((await invoke(env)).answer.payload)
            by_extension = json.loads(next(line for line in story.lines if line.startswith("[200")))
        expected = [200, "private, max-age=43200, immutable", {"AvailabilityZoneID": "euw1-az1"}]
        assert by_function[:3] == again[:3] == by_extension[:3] == expected
        theirs, its = by_function[3], by_extension[3]
        assert theirs["AWS_LAMBDA_METADATA_TOKEN"] == its["AWS_LAMBDA_METADATA_TOKEN"]
        assert theirs["AWS_LAMBDA_METADATA_API"] == theirs["AWS_LAMBDA_RUNTIME_API"] == its["AWS_LAMBDA_RUNTIME_API"]
        assert set(theirs) >= HIDDEN_FROM_EXTENSIONS - {"AWS_EXECUTION_ENV"}
        assert not set(its) & HIDDEN_FROM_EXTENSIONS

    run(main())


def test_two_environments_have_two_tokens(tmp_path: Path) -> None:
    source = "import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_METADATA_TOKEN']\n"

    async def main() -> None:
        tokens = set()
        for _ in range(2):
            async with environment(tmp_path, source) as (env, _story):
                tokens.add((await invoke(env)).answer.payload)
        assert len(tokens) == 2

    run(main())


def test_botocore_in_a_function_finds_container_credentials_by_itself(tmp_path: Path) -> None:
    source = (
        "import os, botocore.session\n"
        "def handler(event, context):\n"
        "    found = botocore.session.get_session().get_credentials()\n"
        "    frozen = found.get_frozen_credentials()\n"
        "    return [found.method, *frozen[:3], 'AWS_ACCESS_KEY_ID' in os.environ]\n"
    )
    token = "t" * 4096
    role = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": token}

    async def main() -> None:
        machine = with_policy(Policy(container_credentials=True))
        options: dict[str, Any] = {"variables": role, "machine_factory": machine, "timeout_s": 20}
        async with environment(tmp_path, source, **options) as (env, _):
            result = await invoke(env)
        assert result.answer.function_error == ""
        assert json.loads(result.answer.payload) == ["container-role", "AKID", "secret", token, False]

    run(main())


def test_the_file_in_a_layer_switches_extensions_off(tmp_path: Path) -> None:
    extension = ShellExtension(tmp_path / "ext")
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "disable-extensions-jwigqn8j").touch()
    source = (
        "import http.client, os\n"
        "def handler(event, context):\n"
        "    api = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])\n"
        "    api.request(event['method'], event['path'])\n"
        "    reply = api.getresponse()\n"
        "    return [reply.status, reply.read().decode()]\n"
    )

    async def main() -> None:
        async with environment(tmp_path, source, extensions=[extension.path], layers=[layer]) as (env, story):
            register = {"method": "POST", "path": "/2020-01-01/extension/register"}
            assert json.loads((await invoke(env, json.dumps(register).encode())).answer.payload) == [404, ""]
            ping = {"method": "GET", "path": "/2018-06-01/ping"}
            assert json.loads((await invoke(env, json.dumps(ping).encode())).answer.payload) == [200, "pong"]
        assert env.extension_exits == {}
        assert not any("EXTENSION" in line for line in story.lines)

    run(main())


@pytest.mark.parametrize("with_extension", [True, False])
def test_the_runtime_is_told_to_end_only_where_an_extension_is(tmp_path: Path, with_extension: bool) -> None:
    order = tmp_path / "order"
    extension = ShellExtension(tmp_path / "ext", at_shutdown=f"printf SHUTDOWN >> {order};")
    bootstrap = shell_runtime(tmp_path / "runtime")
    bootstrap.write_text(bootstrap.read_text().replace("echo terminated", f"printf SIGTERM, >> {order}"))

    async def main() -> None:
        extensions = [extension.path] if with_extension else []
        async with environment(tmp_path, extensions=extensions, bootstrap=bootstrap, isolation="process") as (env, _):
            await invoke(env)
        assert env.process_exits["runtime"].status == (0 if with_extension else "SIGKILL")

    run(main())
    assert (order.read_text() if order.exists() else "") == ("SIGTERM,SHUTDOWN" if with_extension else "")
