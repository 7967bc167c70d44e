"""What the platform does where nobody outside can verify it, or where sources disagree: named, with a default each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Every field is a choice; the comment says where it comes from. Times are in milliseconds."""

    # lambda-platform.md 4.2: documented for on-demand functions
    init_timeout_ms: int = 10_000
    # lambda-platform.md 4.3: the source of AWS's emulator reports a handled error as a success
    handled_error_status: str = "success"
    # lambda-platform.md 2.7: "in practice init fails at once"; the recorded emulator waits for the process to end
    extension_error_ends_phase: bool = True
    # recorded on AWS's emulator: a process that ended while idle fails the next invocation
    idle_crash_fails_next_invocation: bool = True
    # lambda-platform.md 4.5, 12.2: the newer type; `Runtime.ExitError` is the older one
    out_of_memory_error_type: str = "Runtime.OutOfMemory"
    # lambda-platform-2026.md 5: before August 2025 only images and custom runtimes were billed for init
    bill_init: bool = True
    # lambda-platform-2026.md 5: the older style writes the fault and the timeout as lines of their own
    legacy_fault_lines: bool = False
    # lambda-platform.md 5.11: the default; only JSON log streams are filtered
    system_log_level: str = "INFO"
    # lambda-platform.md 5.11: unverified on the service
    wrapped_lines_carry_request_id: bool = True

    # lambda-platform.md 4.6: the documented budgets
    shutdown_budget_ms: int = 2_000
    shutdown_budget_internal_ms: int = 500
    # lambda-platform.md 4.6: 30 % in the source of AWS's emulator and in its recordings, 300 ms in the documentation
    shutdown_runtime_share: float = 0.3
    # lambda-platform.md 5.8: managed instances flush for one second at most
    shutdown_drain_ms: int = 1_000

    # lambda-platform.md 12.1: recommended where the documentation only says "with back-off"
    telemetry_retry_delays_ms: tuple[int, ...] = (100, 200, 400)
    # lambda-platform.md 5.6: undocumented
    telemetry_attempt_timeout_ms: int = 5_000
    # lambda-platform.md 5.8: "about two times maxBytes"; generous here, so that a burst is not lost by the emulator
    telemetry_max_buffered_bytes: int = 16 * 1_048_576
    # lambda-platform.md 5.4: how much of an init's telemetry is kept for subscribers that come later
    telemetry_max_backlog_bytes: int = 4 * 1_048_576
