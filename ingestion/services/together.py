"""Writing together what several threads bring at the same moment: group commit.

A statement and its commit cost some 200 µs of the database, a further row of the same statement some 20. So whoever
comes while a write is on its way waits for the next one, which one of those waiting does for all of them. Alone, a
thread writes at once: nothing waits for company.
"""

import threading
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, OperationalError

from cdp.core.connections import database_is_away

# What one write may hold, in characters. More would keep the others waiting longer than a write of their own.
MOST_CHARACTERS = 16 * 1024 * 1024


class _Line:
    """A line, and what its thread waits for: that it is written or has failed, or that it has to write."""

    __slots__ = ("error", "gate", "text", "writes")

    def __init__(self, text: str) -> None:
        self.text = text
        self.gate = threading.Lock()
        self.gate.acquire()
        # Until it is known to be durable: whatever goes wrong, nobody takes it for written.
        self.error: Exception | None = OperationalError("The write was cut short.")
        self.writes = False


class Together:
    """Hands lines of several threads to one call of `write`.

    Parameters
    ----------
    write : callable
        Takes a list of lines and returns when they are durable.
    """

    def __init__(self, write: Callable[[list[str]], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: list[_Line] = []
        self._busy = False

    def write(self, text: str) -> None:
        """Return once the line is durable.

        Raises
        ------
        DatabaseError, InterfaceError
            What `write` raised for this line. A line that the database refuses fails nobody else's.
        """
        line = _Line(text)
        with self._lock:
            self._waiting.append(line)
            line.writes = not self._busy
            self._busy = True
        if not line.writes:
            line.gate.acquire()
        if line.writes:
            self._write_waiting(line)
        if line.error is not None:
            raise line.error

    def _write_waiting(self, own: _Line) -> None:
        group = self._take(own)
        try:
            self._write_group(group)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._busy = following is not None
            if following is not None:
                following.writes = True
                following.gate.release()
            for line in group:
                if line is not own:
                    line.gate.release()

    def _take(self, own: _Line) -> list[_Line]:
        """Return the lines of the next write, in order; whoever writes is the first of them."""
        with self._lock:
            size = 0
            count = 0
            for line in self._waiting:
                size += len(line.text)
                if count and size > MOST_CHARACTERS:
                    break
                count += 1
            group, self._waiting = self._waiting[:count], self._waiting[count:]
        assert group[0] is own
        return group

    def _write_group(self, group: list[_Line]) -> None:
        try:
            self._write([line.text for line in group])
        except (DatabaseError, InterfaceError) as error:
            if len(group) > 1 and not database_is_away(error):
                for line in group:
                    self._write_group([line])
                return
            for line in group:
                line.error = error
        else:
            for line in group:
                line.error = None
