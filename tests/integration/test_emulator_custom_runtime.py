from __future__ import annotations

import json
from pathlib import Path

from support.emulator_async import run
from support.emulator_extensions import ShellExtension, shell_runtime
from support.emulator_runs import environment, invoke


def test_a_shell_script_with_curl_is_a_runtime(tmp_path: Path) -> None:
    async def main() -> None:
        async with environment(tmp_path, bootstrap=shell_runtime(tmp_path)) as (env, _):
            result = await invoke(env, b'{"n": 1}')
            assert json.loads(result.answer.payload) == {"echo": {"n": 1}}
            assert 'shell got {"n": 1}' in [line.text for line in result.logs]
            failed = await invoke(env, b'"fail"')
            assert failed.answer.function_error == "Unhandled"
            assert json.loads(failed.answer.payload) == {"errorMessage": "as asked", "errorType": "Sad"}
            assert json.loads((await invoke(env, b"[]")).answer.payload) == {"echo": []}

    run(main())


def test_its_last_words_belong_to_the_invocation_in_which_it_died(tmp_path: Path) -> None:
    async def main() -> None:
        async with environment(tmp_path, bootstrap=shell_runtime(tmp_path)) as (env, _):
            result = await invoke(env, b'"die"')
            assert "exit status 42" in json.loads(result.answer.payload)["errorMessage"]
            assert "last words" in [line.text for line in result.logs]
            assert json.loads((await invoke(env, b"1")).answer.payload) == {"echo": 1}

    run(main())


def test_with_an_extension_it_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    extension = ShellExtension(tmp_path / "ext")

    async def main() -> None:
        async with environment(tmp_path, bootstrap=shell_runtime(tmp_path), extensions=[extension.path]) as (
            env,
            _,
        ):
            await invoke(env)
        assert env.process_exits["runtime"].exit_code in (0, None)
        assert env.extension_exits == {"shell-ext": 0}

    run(main())
    assert extension.events[-1]["shutdownReason"] == "spindown"


def test_large_events_and_answers_pass(tmp_path: Path) -> None:
    event = json.dumps("x" * 3_000_000).encode()
    source = "def handler(event, context):\n    return event\n"

    async def main() -> None:
        async with environment(tmp_path, source, timeout_s=20) as (env, _):
            assert (await invoke(env, event)).answer.payload == event
            too_large = "def handler(event, context):\n    return 'x' * 7_000_000\n"
        async with environment(tmp_path, too_large, timeout_s=20) as (env, _):
            result = await invoke(env)
            assert json.loads(result.answer.payload)["errorType"] == "Function.ResponseSizeTooLarge"
            assert result.answer.function_error == "Unhandled"

    run(main())
