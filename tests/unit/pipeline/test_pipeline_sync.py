from __future__ import annotations

import threading

from tailrace.clock import ManualClock, SystemClock
from tailrace.pipeline.sync import Monitor

LIMIT_S = 20.0


def test_wait_times_out_when_nobody_notifies() -> None:
    monitor = Monitor()
    with monitor:
        assert monitor.wait(0.001) is False
        assert monitor.wait(0) is False
        assert monitor.wait(-1) is False
        assert monitor._waiters == []


def test_every_waiter_wakes() -> None:
    monitor, opened, through = Monitor(), False, 0

    def pass_through() -> None:
        nonlocal through
        with monitor:
            assert monitor.wait_until(lambda: opened, SystemClock(), None)
            through += 1
            monitor.notify_all()

    threads = [threading.Thread(target=pass_through) for _ in range(20)]
    for thread in threads:
        thread.start()
    with monitor:
        opened = True
        monitor.notify_all()
        assert monitor.wait_until(lambda: through == 20, SystemClock(), SystemClock().monotonic_s() + LIMIT_S)
    for thread in threads:
        thread.join(LIMIT_S)


def test_no_wake_up_is_lost_between_two_who_take_turns() -> None:
    monitor, turn, rounds = Monitor(), 0, 2000

    def play(me: int) -> None:
        nonlocal turn
        for _ in range(rounds):
            with monitor:
                while turn % 2 != me:
                    monitor.wait()
                turn += 1
                monitor.notify_all()

    other = threading.Thread(target=play, args=(1,), daemon=True)
    other.start()
    play(0)
    other.join(LIMIT_S)
    assert turn == 2 * rounds


def test_short_waits_and_notifications_at_the_same_moment_leave_no_waiter_behind() -> None:
    monitor, stop = Monitor(), False

    def wait_shortly() -> None:
        for _ in range(300):
            with monitor:
                monitor.wait(0.0001)

    def notify() -> None:
        while not stop:
            with monitor:
                monitor.notify_all()

    notifier = threading.Thread(target=notify)
    waiters = [threading.Thread(target=wait_shortly) for _ in range(3)]
    notifier.start()
    for waiter in waiters:
        waiter.start()
    for waiter in waiters:
        waiter.join(LIMIT_S)
    stop = True
    notifier.join(LIMIT_S)
    assert monitor._waiters == []


def test_wait_until_gives_up_at_the_deadline_of_the_given_clock() -> None:
    clock, monitor = ManualClock(), Monitor()
    with monitor:
        assert monitor.wait_until(lambda: False, clock, clock.monotonic_s()) is False
        assert monitor.wait_until(lambda: True, clock, clock.monotonic_s() - 1) is True
