"""Writing together what several threads bring at the same moment."""

import threading

import pytest
from django.db import DatabaseError, OperationalError

from ingestion.services.together import Together
from tests.two_connections import server_closed

PEOPLE = 40


class Store:
    """Keeps lines; waits at the first write until told, so that the others gather behind it."""

    def __init__(self, bad: str = "") -> None:
        self.writes: list[list[str]] = []
        self.bad = bad
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def write(self, lines: list[str]) -> None:
        self.begun.set()
        assert self.go_on.wait(10)
        if self.bad in lines:
            message = "no such thing"
            raise DatabaseError(message)
        self.writes.append(lines)

    @property
    def kept(self) -> list[str]:
        return sorted(line for lines in self.writes for line in lines)


def bring(together: Together, store: Store, lines: list[str]) -> dict[str, Exception | None]:
    """Let the first line be on its way when all others come; return how each ended."""
    ended: dict[str, Exception | None] = {}

    def one(line: str) -> None:
        try:
            together.write(line)
            ended[line] = None
        except DatabaseError as error:
            ended[line] = error

    threads = [threading.Thread(target=one, args=(line,)) for line in lines]
    threads[0].start()
    assert store.begun.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(together._waiting) < len(lines) - 1:
        assert any(thread.is_alive() for thread in threads)
    store.go_on.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return ended


def test_writes_at_once_what_comes_alone():
    store = Store()
    store.go_on.set()
    together = Together(store.write)
    together.write("a")
    together.write("b")
    assert store.writes == [["a"], ["b"]]


def test_writes_in_one_go_what_came_during_a_write():
    store = Store()
    lines = [f"{place}" for place in range(PEOPLE)]
    ended = bring(Together(store.write), store, lines)
    assert set(ended.values()) == {None}
    assert store.kept == sorted(lines)
    assert [len(lines) for lines in store.writes] == [1, PEOPLE - 1]


def test_fails_only_the_line_that_is_refused():
    store = Store(bad="7")
    lines = [f"{place}" for place in range(PEOPLE)]
    ended = bring(Together(store.write), store, lines)
    assert [line for line, error in ended.items() if error] == ["7"]
    assert store.kept == sorted(set(lines) - {"7"})


@pytest.mark.parametrize("error", [OperationalError(), server_closed()])
def test_fails_everyone_while_the_database_is_away(error):
    store = Store()

    def write(lines: list[str]) -> None:
        store.write(lines)
        if len(lines) > 1:
            raise error

    ended = bring(Together(write), store, ["a", "b", "c"])
    assert ended["a"] is None
    assert (ended["b"], ended["c"]) == (error, error)
    assert len(store.writes) == 2


def test_tells_nobody_that_a_write_was_done_that_was_cut_short():
    class Killed(BaseException):
        """No error that anybody expects."""

    def write(lines: list[str]) -> None:
        if "bad" in lines:
            raise Killed

    together = Together(write)
    with pytest.raises(Killed):
        together.write("bad")
    together.write("good")
