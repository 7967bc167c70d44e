"""What a process that was killed in a reset had begun to say is not taken for its successor's."""

from __future__ import annotations

import contextlib
from pathlib import Path

from support.emulator_async import run
from support.emulator_http import Client
from support.emulator_runs import environment, invoke

CRASHES = """
import os
def handler(event, context):
    if event.get("crash"):
        os._exit(1)
    return os.environ["AWS_LAMBDA_RUNTIME_API"]
"""


def test_connections_of_one_generation_end_before_the_next_one_starts(tmp_path: Path) -> None:
    async def main() -> None:
        async with environment(tmp_path, CRASHES) as (env, _):
            address = (await invoke(env)).answer.payload.decode().strip('"')
            old = await Client.connect(int(address.rpartition(":")[2]))
            await old.send(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n")
            assert (await invoke(env, b'{"crash": true}')).answer.function_error == "Unhandled"
            assert (await invoke(env)).answer.function_error == ""
            with contextlib.suppress(ConnectionError):
                assert await old.reader.read() == b""
            old.writer.close()

    run(main())
