"""Which language a person gets: the one asked for, else the best of what their browser prefers."""

from collections.abc import Sequence

from consent.words.catalogue import Words
from consent.words.english import ENGLISH
from consent.words.french import FRENCH
from consent.words.german import GERMAN
from consent.words.spanish import SPANISH

LANGUAGES: dict[str, Words] = {words.code: words for words in (ENGLISH, GERMAN, FRENCH, SPANISH)}
# A header of any length is read no further than this.
MAX_HEADER_PARTS = 20


def choose_words(*, asked: str | None, accept: str = "", offered: Sequence[str] = ()) -> Words:
    """Return the words of the best language.

    Parameters
    ----------
    asked : str, optional
        What the person or the page chose; a language tag whose first part counts.
    accept : str
        The header Accept-Language.
    offered : sequence of str
        The languages to choose from, the first one where nothing fits; empty: all, and English.

    References
    ----------
    RFC 9110, section 12.5.4.
    """
    known = [code for code in offered if code in LANGUAGES] or list(LANGUAGES)
    for tag in [asked or "", *_by_preference(accept)]:
        code = tag.strip().lower().partition("-")[0]
        if code in known:
            return LANGUAGES[code]
    return LANGUAGES[known[0]]


def _by_preference(accept: str) -> list[str]:
    weighed: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept.split(",")[:MAX_HEADER_PARTS]):
        tag, _, weight = part.partition(";")
        quality = _quality(weight)
        if quality > 0:
            weighed.append((-quality, place, tag))
    return [tag for _, _, tag in sorted(weighed)]


def _quality(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    digits = value.strip()
    return float(digits) if digits.replace(".", "", 1).isdecimal() and digits.isascii() else 0.0
