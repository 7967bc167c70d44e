"""Every fault with real processes: nothing hangs, what follows is as on Lambda, and our agent's account is exact."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.emulator_runs import function_folder
from support.http_sink import HttpSink
from tailrace.emulator.isolation.choice import what_is_missing
from tailrace.emulator.transcript import Recording, read_transcript, replay
from tailrace.errors import ConfigError
from tailrace.testing import Fault, LambdaEnvironment

FUNCTION = """
import errno, json, os, socket, time, urllib.request
connection = None
def handler(event, context):
    print("working on", event)
    return globals()[event.get("do", "nothing")](event)
def nothing(event):
    return event
def connect(event):
    global connection
    connection = socket.create_connection(("127.0.0.1", event["port"]))
    connection.sendall(b"hello")
    return connection.recv(100).decode()
def talk(event):
    try:
        connection.sendall(b"hello")
        return connection.recv(100).decode()
    except OSError as error:
        return errno.errorcode[error.errno]
def write(event):
    try:
        with open(event["path"], "wb") as file:
            file.write(bytes(65536))
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"
def credentials(event):
    request = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    request.add_header("Authorization", os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"])
    try:
        return json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as error:
        return error.code
def sleep(event):
    time.sleep(event["s"])
"""

StartEnvironment = Callable[..., LambdaEnvironment]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return function_folder(tmp_path, FUNCTION)


@pytest.fixture
def start(lambda_environment: StartEnvironment, code: Path) -> StartEnvironment:
    def start(**options: Any) -> LambdaEnvironment:
        return lambda_environment("app.handler", **{"code": code, "isolation": "process"} | options)

    return start


@pytest.fixture
def with_agent(start: StartEnvironment, tmp_path: Path) -> StartEnvironment:
    """Our agent, delivering to a folder, and everything written down."""

    def with_agent(*faults: Fault, **options: Any) -> LambdaEnvironment:
        variables = {"TAILRACE_DESTINATIONS": f"file://{tmp_path}/out"}
        return start(
            extensions=["tailrace"], env=variables, faults=faults, transcript=tmp_path / "transcript", **options
        )

    return with_agent


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in folder.rglob("*.ndjson") for line in path.read_text().splitlines()]


def ledger_row(env: LambdaEnvironment) -> dict[str, Any]:
    assert env.ledger is not None
    (row,) = [row for name, row in env.ledger.items() if name != "type"]
    assert isinstance(row, dict)
    gone = row["held"] + row["filtered"] + row["sampled"] + row["rejected"] + row["deadLettered"]
    assert row["received"] == row["delivered"] + gone + sum(row["dropped"].values())
    return row


def sent_once_more(recording: Recording) -> int:
    """Events that a fault made the platform send to the subscriber more often than once and be answered."""
    posts = [e for step in recording.steps for e in step.effects if e["effect"] == "PostTelemetryBadly"]
    reached = [post for post in posts if post["fault"].get("reaches_subscriber", True)]
    return sum(len(post["post"]["event_ids"]) for post in reached)


# telemetry


@pytest.mark.parametrize(
    ("fault", "policy", "again"),
    [
        (Fault("telemetry-late", delay_ms=100, count=2), {}, False),
        (Fault("telemetry-late", delay_ms=60_000, count=1), {"telemetry_attempt_timeout_ms": 300}, True),
        (Fault("telemetry-reset", count=2), {}, False),
        (Fault("telemetry-reset", reaches_subscriber=True, count=2), {}, True),
        (Fault("telemetry-5xx", count=2), {}, True),
        (Fault("telemetry-5xx", reaches_subscriber=False, status=500, count=2), {}, False),
        (Fault("telemetry-duplicate", count=2), {}, True),
        (Fault("telemetry-5xx", probability=0.5, count="all"), {"telemetry_retry_delays_ms": [5] * 12}, True),
    ],
    ids=lambda value: str(value) if isinstance(value, Fault) else None,
)
def test_telemetry_that_goes_wrong_costs_no_record_and_every_copy_is_counted(
    with_agent: StartEnvironment, tmp_path: Path, fault: Fault, policy: dict[str, object], again: bool
) -> None:
    env = with_agent(fault, policy=policy, seed=5)
    for number in range(3):
        assert env.invoke({"n": number}).error is None
    env.shutdown()

    recording = read_transcript(tmp_path / "transcript")
    copies = sent_once_more(recording) if again else 0
    row = ledger_row(env)
    written = lines(tmp_path / "out")
    assert env.faults
    assert set(env.faults) == {fault}
    assert env.telemetry.undelivered == []
    assert row["received"] == len(env.telemetry) + copies
    assert row["received"] == row["delivered"] == len(written)
    assert bool(copies) is again
    assert len({line["seq"] for line in written}) == len(written)
    assert {"working on {'n': 0}\n", "working on {'n': 1}\n", "working on {'n': 2}\n"} <= {
        line["record"].rstrip("\n") + "\n" for line in written if line["type"] == "function"
    }
    assert replay(recording) is None


def test_a_paused_subscriber_gets_everything_when_it_goes_on(with_agent: StartEnvironment, tmp_path: Path) -> None:
    pause = Fault("subscriber-pause", process="tailrace", at="invoke:2", duration_ms=400)
    env = with_agent(pause, policy={"telemetry_attempt_timeout_ms": 100, "telemetry_retry_delays_ms": [10] * 20})
    results = [env.invoke({"n": number}) for number in range(3)]
    env.shutdown()

    assert [result.error for result in results] == [None] * 3
    assert env.faults == [pause]
    assert env.telemetry.undelivered == []
    row = ledger_row(env)
    assert row["received"] == row["delivered"] == len(lines(tmp_path / "out")) >= len(env.telemetry)
    assert replay(read_transcript(tmp_path / "transcript")) is None


# killed processes

KILLED_IN_INIT = ["init:0", "registered", "subscribed", "ready"]
KILLED_IN_INVOKE = ["invoke:1", "response:1", "next:1", "telemetry:1"]
KILLED_WHILE_IDLE = ["freeze:1", "thaw:2"]


@pytest.mark.parametrize("at", [*KILLED_IN_INIT, *KILLED_IN_INVOKE, *KILLED_WHILE_IDLE])
def test_a_killed_extension_leaves_the_environment_as_on_lambda(
    with_agent: StartEnvironment, tmp_path: Path, at: str
) -> None:
    fault = Fault("kill", process="tailrace", at=at)
    env = with_agent(fault)
    results = [env.invoke({"n": number}) for number in range(3)]
    failed = [result.report_line for result in results if "Extension.Crash" in result.report_line]
    env.shutdown()

    assert env.faults == [fault]
    assert len(failed) == (0 if at in KILLED_IN_INIT else 1)
    assert results[-1].error is None
    assert [init.status for init in env.inits] == (["error", "success"] if at in KILLED_IN_INIT else ["success"] * 2)
    row = ledger_row(env)
    assert row["held"] == 0
    assert row["delivered"] <= len(lines(tmp_path / "out"))
    assert replay(read_transcript(tmp_path / "transcript")) is None


@pytest.mark.parametrize("at", ["init:0", "ready", "invoke:1", "response:1", "next:1", "freeze:1"])
def test_a_killed_runtime_is_started_anew_at_the_next_invocation(with_agent: StartEnvironment, at: str) -> None:
    env = with_agent(Fault("kill", process="runtime", at=at))
    results = [env.invoke({"n": number}) for number in range(3)]
    env.shutdown()

    assert len(env.faults) == 1
    assert results[-1].error is None
    # at "response" and "next" the invoker had its answer before the runtime was killed
    broken = [result.report_line for result in results if "Status: error" in result.report_line]
    assert len(broken) == (0 if at == "init:0" else 1)
    assert env.telemetry.undelivered == []
    row = ledger_row(env)
    assert row["received"] == row["delivered"]


@pytest.mark.parametrize("process", ["runtime", "tailrace"])
def test_a_process_that_is_killed_at_shutdown_ends_it_sooner(with_agent: StartEnvironment, process: str) -> None:
    env = with_agent(Fault("kill", process=process, at="shutdown"))
    env.invoke({})
    env.shutdown()

    assert len(env.faults) == 1
    assert env.exits[process] == "SIGKILL"
    assert (env.ledger is None) is (process == "tailrace")


def test_a_fault_may_be_asked_for_while_the_environment_runs(with_agent: StartEnvironment) -> None:
    env = with_agent()
    env.invoke({})
    env.inject("telemetry-5xx", count=2)
    pending = env.submit({"do": "sleep", "s": 60})
    env.wait_until(lambda: any("'s': 60" in line for line in env.log_lines))
    env.inject("kill", process="runtime", signal="SIGSEGV")

    assert "Runtime.ExitError" in pending.result().report_line
    assert env.invoke({}).error is None
    env.wait_until(lambda: len(env.faults) == 3)
    with pytest.raises(ConfigError, match=r'process: there is no "runtme"; one of runtime, tailrace'):
        env.inject("kill", process="runtme")
    with pytest.raises(ConfigError, match=r"faults: 'kill' is one fault, not a list"):
        LambdaEnvironment("app.handler", faults="kill")


# connections


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that answers what it is sent, and sees whether its clients are reset."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(client,), daemon=True).start()

        def answer(client: socket.socket) -> None:
            with client:
                try:
                    while data := client.recv(100):
                        client.sendall(data)
                except ConnectionError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


NEEDS_NAMESPACES = pytest.mark.skipif(bool(what_is_missing()), reason="this machine allows no namespaces")
ISOLATIONS = [
    "process",
    pytest.param("namespace", marks=NEEDS_NAMESPACES),
]


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_connections_that_were_open_at_the_freeze_are_reset(
    start: StartEnvironment, echo_port: int, isolation: str
) -> None:
    env = start(faults=[Fault("cut-connections", at="freeze:2")], isolation=isolation)

    assert env.invoke({"do": "connect", "port": echo_port}).payload == "hello"
    assert env.invoke({"do": "talk"}).payload == "hello"
    env.wait_frozen()
    assert env.fault_problems == []
    assert env.invoke({"do": "talk"}).payload == "ECONNRESET"
    assert env.invoke({"do": "connect", "port": echo_port}).payload == "hello"


def test_our_agent_loses_nothing_when_its_connections_are_cut_at_every_freeze(
    start: StartEnvironment, tmp_path: Path
) -> None:
    with HttpSink() as sink:
        env = start(
            extensions=["tailrace"],
            env={"TAILRACE_DESTINATIONS": f"http://127.0.0.1:{sink.port}/in"},
            faults=[Fault("cut-connections", count="all")],
        )
        for number in range(4):
            assert env.invoke({"n": number}).error is None
            env.wait_frozen()
        env.shutdown()
        received = sink.lines()

    assert len(env.faults) >= 4
    assert env.fault_problems == []
    row = ledger_row(env)
    assert row["received"] == row["delivered"] == len(env.telemetry)
    seen = {line["seq"] for line in received}
    assert len(seen) == row["delivered"]
    if len(received) > len(seen):
        assert row["resentUnconfirmed"] >= 1


# files


@NEEDS_NAMESPACES
def test_a_full_disk_is_the_environments_own(start: StartEnvironment, code: Path) -> None:
    env = start(isolation="namespace", faults=[Fault("disk-full", at="invoke:2", duration_ms=600_000)])

    assert env.invoke({"do": "write", "path": "/tmp/a"}).payload == "written"
    assert env.invoke({"do": "write", "path": "/tmp/b"}).payload == "ENOSPC"
    assert env.invoke({"do": "write", "path": "/tmp/b"}).payload == "ENOSPC"
    assert env.fault_problems == []


@NEEDS_NAMESPACES
def test_a_disk_that_was_full_has_room_again(start: StartEnvironment) -> None:
    full = Fault("disk-full", at="invoke:1", free_bytes=8192, duration_ms=2000)
    env = start(isolation="namespace", freeze=False, faults=[full])

    assert env.invoke({"do": "write", "path": "/tmp/b"}).payload == "ENOSPC"
    assert env.wait_until(lambda: env.invoke({"do": "write", "path": "/tmp/b"}).payload == "written")


def test_no_disk_is_filled_where_it_is_this_machines(start: StartEnvironment) -> None:
    with pytest.raises(ConfigError, match=r"fault 1, what: disk-full needs an environment with a /tmp of its own"):
        start(faults=[Fault("disk-full", at="invoke:2")])
    with pytest.raises(ConfigError, match=r"what: disk-full needs an environment with a /tmp of its own"):
        start().inject("disk-full")


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_files_of_a_process_can_be_limited_in_any_isolation(
    start: StartEnvironment, tmp_path: Path, isolation: str
) -> None:
    limit = Fault("file-size-limit", process="runtime", at="invoke:2", max_file_bytes=1000)
    env = start(faults=[limit], isolation=isolation, mounts=[str(tmp_path)])
    event = {"do": "write", "path": str(tmp_path / "file")}

    assert env.invoke(event).payload == "written"
    assert env.invoke(event).payload == "EFBIG"
    assert env.fault_problems == []


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_run_with_faults_can_be_run_again_from_its_transcript(
    start: StartEnvironment, tmp_path: Path, isolation: str
) -> None:
    faults = [
        Fault("telemetry-duplicate", probability=0.5, count="all"),
        Fault("subscriber-pause", process="tailrace", at="invoke:2", duration_ms=50),
        Fault("kill", process="runtime", at="response:3"),
    ]
    transcript = tmp_path / "transcript"
    env = start(
        extensions=["tailrace"],
        env={"TAILRACE_DESTINATIONS": f"file://{tmp_path}/out"},
        faults=faults,
        seed=3,
        transcript=transcript,
        isolation=isolation,
        mounts=[str(tmp_path)],
    )
    for number in range(4):
        env.invoke({"n": number})
    env.shutdown()
    recording = read_transcript(transcript)

    assert {fault.what for fault in env.faults} == {"telemetry-duplicate", "subscriber-pause", "kill"}
    assert len(recording.steps) > 40
    assert replay(recording) is None


# credentials


def test_credentials_of_the_container_endpoint_expire(start: StartEnvironment) -> None:
    env = start(
        policy={"container_credentials": True},
        faults=[Fault("credentials-expired"), Fault("credentials-expired", status=401)],
    )
    expired = env.invoke({"do": "credentials"})
    refused = env.invoke({"do": "credentials"})
    good = env.invoke({"do": "credentials"})

    now = good.logs and env.telemetry.unsubscribed[-1].time
    assert expired.payload["Expiration"] < now < good.payload["Expiration"]
    assert refused.payload == 401
