"""Whether the environment ever got ready, and what to say where an extension kept it from that."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.cli.story import InitPart, Story
from tailrace.emulator.function import FunctionConfig

LOAD_ERRORS = (
    "Runtime.ImportModuleError",
    "Runtime.UserCodeSyntaxError",
    "Runtime.HandlerNotFound",
    "Runtime.MalformedHandlerName",
)
"""How Lambda's runtime client names what is wrong before the handler is called (lambda-platform.md 3.5)."""

DEBUGGING = "see docs/how-to/debug-an-extension.md"


@dataclass(frozen=True)
class StartFailure:
    """Why nothing could be invoked: one sentence and a remedy."""

    sentence: str
    remedy: str


def start_failure(story: Story, config: FunctionConfig) -> StartFailure | None:
    """None where the environment got ready at least once, or where the function itself is what failed."""
    inits = story.inits
    if not inits or any(part.status == "success" for part in inits):
        return None
    last = inits[-1]
    late = [extension.name for extension in config.extensions if f"ext:{extension.name}" not in last.ready_ms]
    if last.error_type.startswith("Extension."):
        return StartFailure(_extension_failed(last, late), DEBUGGING)
    if last.status == "timeout" and late and "runtime" not in last.ready_ms:
        sentence = f"extensions/{late[0]} did not get ready within {inits[0].duration_ms / 1000:.0f} s"
        return StartFailure(
            sentence, f"does it read AWS_LAMBDA_RUNTIME_API and register under its file's name?  {DEBUGGING}"
        )
    return None


def load_failure(story: Story, config: FunctionConfig) -> StartFailure | None:
    """What to say where the function's own code could not even be loaded; its log has the details."""
    for part in story.invocations:
        document = part.document
        if part.status != "success" and isinstance(document, dict) and document.get("errorType") in LOAD_ERRORS:
            sentence = f'handler "{config.handler}" cannot be loaded: {document.get("errorMessage", "")}'
            return StartFailure(
                sentence, f"looked in {config.code_dir} and what {config.runtime_command[0]} has installed"
            )
    return None


def _extension_failed(part: InitPart, late: list[str]) -> str:
    who = f"extensions/{late[0]}" if len(late) == 1 else "an extension"
    return f"{who} kept the environment from starting: {part.error_type}" + (
        f" ({part.error_message})" if part.error_message else ""
    )
