"""A full disk ends neither `make up` nor the guard: what finds no room is dropped, or written once there is some."""

import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from cdp.embedded import guard
from cdp.embedded.accounts import Account
from cdp.embedded.children import Child, write_children
from cdp.embedded.console import banner, progress, write_line
from cdp.embedded.guard import Watch
from cdp.embedded.layout import Layout, prepare_layout

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return prepare_layout(tmp_path)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_drops_lines_that_find_no_room(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    full = FULL.open("w", buffering=1)
    monkeypatch.setattr(sys, name, full)
    for _ in range(3):
        write_line("web", "x" * 10_000)
        progress("y")
        banner(["z"])
        guard._say("x")
    monkeypatch.undo()
    with suppress(OSError):
        full.close()


def test_reports_its_state_once_there_is_room(layout: Layout) -> None:
    watch = Watch(layout=layout, account=Account(uid=0, gid=0), servers=[], users=-1)
    draft = layout.guard_state.with_suffix(".draft")
    draft.symlink_to(FULL)
    guard._report(layout, {"state": "ready"}, watch)
    assert not layout.guard_state.exists()
    draft.unlink()
    guard._report(layout, {"state": "ready"}, watch)
    assert json.loads(layout.guard_state.read_text())["state"] == "ready"


class _Process:
    pid = 42


def test_notes_its_processes_once_there_is_room(layout: Layout) -> None:
    child = Child(name="web", command=[], stop_signals=[], process=_Process())
    draft = layout.children.with_suffix(".draft")
    draft.symlink_to(FULL)
    write_children([child], layout=layout)
    assert not layout.children.exists()
    draft.unlink()
    write_children([child], layout=layout)
    assert json.loads(layout.children.read_text()) == {"web": 42}
