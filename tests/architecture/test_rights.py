"""Who may use which address: every URL by every method as everybody, held against the table in `rights/`.

How many cells were walked: .venv/bin/python -m pytest -s -n 0 tests/architecture/test_rights.py
RIGHTS_TO=FOLDER keeps there what was met, in the form of the table.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.objects import build
from tests.architecture.rights import addresses, read_table
from tests.architecture.walking import Cast, Walk

TABLE = read_table()
APPS = sorted({address.app for address in addresses()})


@pytest.fixture
def quiet() -> Iterator[None]:
    """Log nothing: thousands of requests are refused."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_every_address_stands_in_the_table_and_no_other():
    told = {(address.app, address.route) for address in addresses()}
    written = {(app, route) for app, lines in TABLE.items() for route, _ in lines}
    assert sorted(told - written) == [], "has no line in tests/architecture/rights"
    assert sorted(written - told) == [], "is no address any more"


def test_says_why_nobody_needs_to_sign_in():
    lines = [line for table in TABLE.values() for line in table.values()]
    assert [str(line) for line, reason in lines if ("N" in line.who) != bool(reason)] == []


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("app", APPS)
def test_everybody_may_do_what_the_table_says_and_nothing_else(app: str, quiet: None):
    world = build()
    walk = Walk(Cast(world), {place: line.key for place, (line, _) in TABLE[app].items()})
    found = {
        (line.route, line.method): str(line)
        for address in addresses(world)
        if address.app == app
        for line in walk.visit(address)
    }
    if "RIGHTS_TO" in os.environ:
        met = [f"# {walk.cells} cells walked", *found.values(), ""]
        Path(os.environ["RIGHTS_TO"], f"{app}.txt").write_text("\n".join(met))
    written = {place: str(line) for place, (line, _) in TABLE[app].items()}
    print(f"\n{app}: {len(found)} lines, {walk.cells} cells walked")
    assert walk.faults == [], "\n".join(["", *walk.faults])
    changed = [
        f"- {written.get(place, '')}\n+ {found.get(place, '')}"
        for place in sorted(found.keys() | written.keys())
        if found.get(place) != written.get(place)
    ]
    assert changed == [], "\n".join(["", *changed])
