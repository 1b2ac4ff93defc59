"""Every setting is documented, and every documented one exists."""

import os
import re
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT, files

DOCUMENT = ROOT / "docs/reference/settings.md"
NAME = re.compile(r"CDP_[A-Z][A-Z_]*[A-Z]")
# How the source asks the environment.
ASKED = re.compile(r"""(?:\benv(?:\.\w+)?\(|(?:env|environ)(?:\.get\(|\[))\s*["'](CDP_[A-Z_]+)["']""")
# Between the product's own processes, or for its tests.
INTERNAL = {"CDP_TESTS_DATA_DIR", "CDP_TESTS_SPARK"}


def documented() -> set[str]:
    return {
        name
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("| `CDP_")
        for name in NAME.findall(line.split("|")[1])
    }


def test_every_setting_that_the_source_reads_is_documented():
    read = {name for path in files() for name in ASKED.findall(path.read_text())}
    assert "CDP_ENV" in read
    assert read - INTERNAL - documented() == set()


def test_every_documented_setting_is_read_somewhere():
    text = "\n".join(path.read_text() for path in files())
    assert {name for name in documented() if name not in text} == set()


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    """Import the settings in a process of its own."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("CDP_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, "-c", "import cdp.settings"],
        env=keep | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


GOOD = {
    "CDP_ENV": "production",
    "CDP_SECRET_KEY": "s" * 50,
    "CDP_SUPPRESSION_KEY": "k" * 50,
    "CDP_ALLOWED_HOSTS": "cdp.example",
}


def test_production_starts_with_everything_set():
    assert start(**GOOD).returncode == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"CDP_SECRET_KEY": ""}, "CDP_SECRET_KEY"),
        ({"CDP_SECRET_KEY": "short"}, "CDP_SECRET_KEY"),
        ({"CDP_SUPPRESSION_KEY": ""}, "CDP_SUPPRESSION_KEY"),
        ({"CDP_SIGNING_KEY": "short"}, "CDP_SIGNING_KEY"),
        ({"CDP_MASTER_KEY": "short"}, "CDP_MASTER_KEY"),
        ({"CDP_DEBUG": "1"}, "CDP_DEBUG"),
        ({"CDP_ALLOWED_HOSTS": ""}, "CDP_ALLOWED_HOSTS"),
        ({"CDP_ENV": "prod"}, "CDP_ENV"),
    ],
)
def test_production_refuses_to_start_unsafely_and_names_the_setting(change, named):
    ended = start(**(GOOD | change))
    assert ended.returncode != 0
    assert named in ended.stderr


def test_deployment_check_has_nothing_to_say(tmp_path):
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("CDP_", "DJANGO_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "django", "check", "--deploy", "--fail-level", "WARNING"],
        env=keep
        | GOOD
        | {
            "DJANGO_SETTINGS_MODULE": "cdp.settings",
            "CDP_DATA_DIR": str(tmp_path),
            "CDP_BASE_URL": "https://cdp.example",
        }
        | {"CDP_SECRET_KEY": "".join(map(chr, range(48, 112)))},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
