"""Filling the virtual environment, with a pip that only pretends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cdp.embedded import install


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Make a virtual environment whose pip fails for the lock files that match a shell pattern."""
    for part in ("base", "matching"):
        (tmp_path / "requirements").mkdir(exist_ok=True)
        (tmp_path / "requirements" / f"{part}.txt").write_text(part)
    monkeypatch.setattr(install, "REPOSITORY", tmp_path)
    monkeypatch.setattr(install, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(install, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(install, "_make_environment", lambda: True)

    def make(fails_for: str) -> Path:
        python = tmp_path / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ncase "$*" in {fails_for}) exit 1;; esac\n')
        python.chmod(0o755)
        return tmp_path / "calls"

    return make


def test_goes_on_without_matching_and_names_the_packages_to_install(
    environment: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    environment("*/matching.txt")
    assert install.main(["base", "matching"]) == 0
    assert "apt-get install build-essential python3-dev" in capsys.readouterr().out


def test_stops_when_the_product_itself_cannot_be_installed(environment: Callable[[str], Path]) -> None:
    environment("*/base.txt")
    assert install.main(["base", "matching"]) == 1


def test_installs_again_only_what_changed(environment: Callable[[str], Path], tmp_path: Path) -> None:
    calls = environment("nothing")
    install.main(["base", "matching"])
    install.main(["base", "matching"])
    assert len(calls.read_text().splitlines()) == 2
    (tmp_path / "requirements" / "base.txt").write_text("changed")
    install.main(["base", "matching"])
    assert len(calls.read_text().splitlines()) == 3
    assert "--require-hashes" in calls.read_text().splitlines()[2]
