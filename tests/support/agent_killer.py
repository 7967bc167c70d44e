"""What a function does to the agent beside it, as source text to append to the function's."""

KILL_AGENT = """
import os, pathlib, signal

def kill_agent():
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "environ").read_bytes().split(bytes(1)), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        mine = f"AWS_LAMBDA_RUNTIME_API={os.environ['AWS_LAMBDA_RUNTIME_API']}".encode()
        if mine in words[0] and b"tailrace.agent.start" in words[1]:
            os.kill(int(entry.name), signal.SIGKILL)
"""
