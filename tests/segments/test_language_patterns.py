"""Patterns mean the same to the reference, to Python's own engine and to PostgreSQL."""

import re

import pytest
from django.db import connection

from cdp.core.patterns import Matcher, PatternFault, parse_pattern, pattern_matches, postgres_pattern

TEXTS = [
    "",
    "a",
    "ab",
    "abab",
    "foo\nbar",
    "x1",
    "Ä",
    "a-b",
    "aaa",
    "]",
    "b]c",
    "foo.de",
    "$",
    "é_9",
    "a\tb",
    "aab" * 20,
]
PATTERNS = [
    *("^a+$", "(ab)*$", "a|b", "[^a]", "\\d", "f.*r", "^$", "[a-]", "\\$", "(a|b){2,3}?", "[]x]", "(?:a*)*b"),
    *("\\.de$", "(|a)b", "Ä", "[ä-ü]", "\\w+\\W\\w", "\\s", "[\\d_]", "a{2}b", "(a+)+$", "^(?:[^ab]|b)+$"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("pattern", PATTERNS)
def test_engines_agree(pattern: str) -> None:
    parsed = parse_pattern(pattern)
    # Python's own classes are Unicode without the flag, and its $ also matches before a final line break.
    own = re.compile(pattern.replace("$", "\\Z") if not pattern.startswith("\\$") else pattern, re.ASCII)
    with connection.cursor() as cursor:
        cursor.execute(
            'select array_agg(t collate "C" ~ %s order by n) from unnest(%s::text[]) with ordinality u(t, n)',
            [postgres_pattern(parsed), TEXTS],
        )
        stored = cursor.fetchone()[0]
    matcher = Matcher(parsed)
    assert [matcher.matches(text) for text in TEXTS * 2] == stored * 2
    assert [pattern_matches(parsed, text) for text in TEXTS] == stored == [bool(own.search(text)) for text in TEXTS]


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "(",
        ")",
        "[",
        "a**",
        "*a",
        "(?i)a",
        "(?=a)",
        "(?P<n>a)",
        "\\1",
        "\\b",
        "\\x41",
        "a{3,2}",
        "a{101}",
        "x" * 201,
    ],
)
def test_refuses_what_engines_read_differently(pattern: str) -> None:
    with pytest.raises(PatternFault):
        parse_pattern(pattern)


def test_takes_linear_time_where_backtracking_would_not_end() -> None:
    assert not pattern_matches(parse_pattern("^(a+)+$"), "a" * 2_000 + "b")
