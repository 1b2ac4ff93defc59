"""Telling workers that there is work, without ever waiting for the broker.

Rows in the database own all work; a wake-up only saves the second until the next sweep. So wake-ups may be lost, and
nobody who sends one is slowed down or failed by a broker that is slow, full or away.
"""

import logging
import os
import threading
import time

from django.db import transaction
from kombu.exceptions import KombuError

from cdp.celery import app

log = logging.getLogger("cdp.wakeups")

PAUSE_SECONDS = 0.05
EXPIRES_SECONDS = 5
# After a fault the sweeps do the work; asking a dead broker again and again would only fill the log.
OPEN_CIRCUIT_SECONDS = 5.0


class _Sender:
    """The names that wait to be sent, and the thread that sends them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.names: set[str] = set()
        self.wanted = threading.Event()
        self.thread: threading.Thread | None = None
        self.silent_until = 0.0


_sender = _Sender()


def wake(task_name: str) -> None:
    """Wake the task's worker after the commit of the caller's transaction; at once outside of one."""
    transaction.on_commit(lambda: wake_now(task_name), robust=True)


def wake_now(task_name: str) -> None:
    """Wake the task's worker now: at most once per 50 ms and process, however often this is called."""
    if time.monotonic() < _sender.silent_until:
        return
    with _sender.lock:
        _sender.names.add(task_name)
        if _sender.thread is None or not _sender.thread.is_alive():
            _sender.thread = threading.Thread(target=_send_names, args=(_sender,), name="wake-ups", daemon=True)
            _sender.thread.start()
    _sender.wanted.set()


def _send_names(sender: _Sender) -> None:
    pause = threading.Event()
    while True:
        sender.wanted.wait()
        sender.wanted.clear()
        with sender.lock:
            names, sender.names = sorted(sender.names), set()
        for name in names:
            if not _send(name):
                sender.silent_until = time.monotonic() + OPEN_CIRCUIT_SECONDS
                break
        # Everything asked for during the pause goes out together after it.
        pause.wait(PAUSE_SECONDS)


def _send(name: str) -> bool:
    try:
        app.send_task(name, expires=EXPIRES_SECONDS, retry=False, ignore_result=True)
    except (KombuError, OSError) as error:
        log.warning("the broker takes no wake-ups; the sweeps go on", extra={"fault": type(error).__name__})
        return False
    return True


def _start_over() -> None:
    """Give a forked child a sender of its own: threads do not survive a fork."""
    global _sender  # noqa: PLW0603 - one sender per process
    _sender = _Sender()


os.register_at_fork(after_in_child=_start_over)
