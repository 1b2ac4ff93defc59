"""Where an installation lies, and what is said when it cannot lie there."""

import os
import stat
from pathlib import Path

import pytest

from cdp.embedded import EmbeddedError, data_dir
from cdp.embedded.layout import REPOSITORY, Layout, prepare_layout


def test_lies_beside_the_code_unless_the_environment_says_otherwise(tmp_path: Path) -> None:
    assert data_dir({}) == REPOSITORY / "var"
    assert data_dir({"CDP_DATA_DIR": str(tmp_path / "x" / ".." / "y")}) == tmp_path / "y"


def test_keeps_its_folders_private(tmp_path: Path) -> None:
    layout = prepare_layout(tmp_path / "new")
    private = [layout.run, layout.logs, layout.keys, layout.root / "outbox", layout.root / "files"]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in private} == {0o700}


def test_says_what_to_do_about_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    # Root may write wherever a file system allows it; sysfs allows nobody to make directories.
    parent = Path("/sys") if os.geteuid() == 0 else tmp_path
    if parent is tmp_path:
        tmp_path.chmod(0o500)
    with pytest.raises(EmbeddedError, match=r"cannot be written .*sudo chown .*CDP_DATA_DIR"):
        prepare_layout(parent / "cdp-data")


def test_says_what_to_do_about_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(EmbeddedError, match=r"is a file, not a directory\. Move it away"):
        prepare_layout(tmp_path / "var")


def test_keeps_sockets_under_a_path_that_every_system_takes(tmp_path: Path) -> None:
    layout = Layout(root=tmp_path / ("deep/" * 60))
    # macOS takes 104 bytes with the closing NUL.
    assert len(os.fsencode(layout.sockets / ".s.PGSQL.5432.lock")) < 104
    assert layout.sockets != Layout(root=tmp_path).sockets
