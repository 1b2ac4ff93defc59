"""PostgreSQL and the reference read the same texts as instants, whichever branch they take there."""

import random
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from segments.language.values import parse_instant

ZONE = "America/New_York"
WRITTEN = [
    "2024-02-29T23:59:59.999Z",
    "2023-02-29T00:00:00.000Z",
    "2024-12-31T00:00:00Z",
    "2026-03-08T02:30:00+00:00",
    "2024-06-15T10:11:12.131415+00:00",
    "2024-06-15",
    "2023-02-29",
    "1900-02-29",
    "2000-02-29",
    "2024-06-15T10:11:12",
    "2024-06-15 10:11",
    "2024-06-15T10:11:12.123456789-05:30",
    "2024-06-15T24:00:00Z",
    "2024-06-15T23:59:60Z",
    "2024-06-31T00:00:00Z",
    "2024-13-01",
    "0999-01-01T00:00:00Z",
    "9000-01-01T00:00:00Z",
    "1000-01-01",
    "8999-12-31T23:59:59.999999+00:00",
    "2024-06-15T10:11:12.000Z\n",
    "\n2024-06-15",
    "yesterday!",
    "2024-J1-01",
    "J2451187+1",
    "-infinity-",
    "20240615T101112Z",
    "2024-06-15T10:11:12 z",
    "\uff12\uff10\uff12\uff14-06-15",
    "",
]
# What PostgreSQL's own reading forgives.
FORGIVEN = " +-:.TZtz0129aéJ\t"


def texts() -> Iterator[str]:
    """Yield the texts, each of them with other digits, and with a character or two exchanged, left out or put in."""
    draw = random.Random(20)
    yield from WRITTEN
    for text in WRITTEN:
        for _ in range(60):
            yield "".join(draw.choice("012") if one.isdecimal() and draw.random() < 0.2 else one for one in text)
        for _ in range(100):
            changed = list(text)
            for _ in range(draw.randint(1, 2)):
                place = draw.randrange(len(changed) + 1)
                changed[place : place + draw.randint(0, 1)] = draw.choice(["", *FORGIVEN])
            yield "".join(changed)


@pytest.mark.django_db
def test_engines_read_the_same() -> None:
    tried = list(dict.fromkeys(texts()))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT cdp_instant(t, %(zone)s), cdp_read_instant(t, %(zone)s), cdp_instant(to_jsonb(t), %(zone)s)"
            " FROM unnest(%(tried)s::text[]) WITH ORDINALITY AS u(t, n) ORDER BY n",
            {"zone": ZONE, "tried": tried},
        )
        found = cursor.fetchall()
    expected = [parse_instant(text, ZoneInfo(ZONE)) for text in tried]
    assert len(tried) > 3_000
    assert sum(1 for each in expected if each) > 300
    wrong = [(text, row, each) for text, row, each in zip(tried, found, expected, strict=True) if set(row) != {each}]
    assert wrong == []


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["5", "true", "null", "[]", '["2024-06-15"]', '{"a": "2024-06-15"}'])
def test_only_texts_are_instants(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT cdp_instant(%s::jsonb, 'UTC')", [value])
        assert cursor.fetchone() == (None,)
