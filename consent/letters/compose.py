"""Putting a letter together from a template and the facts of a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from consent.letters.catalogue import KINDS, Phrases
from consent.letters.english import ENGLISH
from consent.letters.french import FRENCH
from consent.letters.german import GERMAN
from consent.letters.spanish import SPANISH

PHRASES: Mapping[str, Phrases] = {one.code: one for one in (ENGLISH, GERMAN, FRENCH, SPANISH)}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a letter says about a request; texts that a letter does not use stay empty."""

    number: str
    type: str
    received_on: date
    due_on: date
    reason: str = ""
    link: str = ""
    code: str = ""
    days: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Composed:
    """A letter."""

    subject: str
    body: str


def compose(*, kind: str, language: str, facts: Facts) -> Composed:
    """Return a letter of a kind in a language; English where there are no templates in it.

    Raises
    ------
    KeyError
        If there is no such kind of letter.
    """
    if kind not in KINDS:
        raise KeyError(kind)
    words = PHRASES.get(language, ENGLISH)
    filled = {
        "type": words.types[facts.type],
        "received_on": _day(words, facts.received_on),
        "due_on": _day(words, facts.due_on),
        "reason": facts.reason,
        "link": facts.link,
        "code": facts.code,
        "days": facts.days,
        "text": facts.text,
    }
    text = words.done[facts.type] if kind == "done" else words.bodies[kind]
    parts = [words.greeting, text.format(**filled), words.closing, words.number.format(number=facts.number)]
    return Composed(subject=words.subjects[kind].format(**filled), body="\n\n".join(parts) + "\n")


def write_day(*, language: str, day: date) -> str:
    """Return a day as people of a language write it."""
    return _day(PHRASES.get(language, ENGLISH), day)


def _day(words: Phrases, day: date) -> str:
    return words.date.format(day=day.day, month=day.month, year=day.year)
