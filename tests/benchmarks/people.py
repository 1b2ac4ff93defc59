"""People as a customer data platform sees them, and who they are: households, twins, gaps, errors, placeholders.

Names are made of syllables, so that they are many, of uneven frequency, and nobody's.
"""

import random
from dataclasses import dataclass

STARTS = [
    "an",
    "bel",
    "cor",
    "da",
    "el",
    "fi",
    "gra",
    "ha",
    "is",
    "jo",
    "ka",
    "lo",
    "ma",
    "ni",
    "os",
    "pe",
    "ro",
    "sa",
    "ti",
    "vi",
]
ENDS = [
    "a",
    "en",
    "er",
    "ia",
    "io",
    "is",
    "la",
    "lin",
    "na",
    "no",
    "ra",
    "ro",
    "sa",
    "son",
    "ta",
    "to",
    "us",
    "va",
    "wen",
    "y",
]
STREETS = ["road", "street", "lane", "avenue", "place", "close"]
PLACEHOLDERS = {"email": "noemail@post.example", "phone": "0400000000"}
FIELDS = ("first_name", "surname", "dob", "street", "city", "postcode", "email", "phone")
EMPTY = 0.3  # how many values are missing in a record that is not a person's first
ERRORS = 0.25
PLACEHOLDER_SHARE = 0.002


@dataclass(frozen=True, slots=True)
class People:
    """Records by column, and the person of each."""

    columns: dict[str, list[str | None]]
    truth: list[int]


def make_people(records: int, *, seed: int = 1) -> People:
    """Return so many records: some 60 % as many people, two in five of a household, one in a hundred a twin."""
    rng = random.Random(seed)
    families = [_word(rng, 3) for _ in range(max(200, records // 40))]
    names = [_word(rng, 2) for _ in range(1_500)]
    cities = [_word(rng, 3) for _ in range(400)]
    columns: dict[str, list[str | None]] = {name: [] for name in FIELDS}
    truth: list[int] = []
    home: dict[str, str] = {}
    person = 0
    while len(truth) < records:
        shares = bool(home) and rng.random() < 0.4
        if not shares:
            city = rng.choice(cities)
            home = {
                "surname": families[int(len(families) * rng.random() ** 2)],
                "street": f"{rng.randrange(1, 300)} {rng.choice(families)} {rng.choice(STREETS)}",
                "city": city,
                "postcode": f"{2000 + hash_of(city) % 5000}",
                "phone": f"04{rng.randrange(10**8):08}",
                "dob": _day(rng),
            }
        first = names[int(len(names) * rng.random() ** 2)]
        is_twin = shares and rng.random() < 0.03
        own = {
            **home,
            "first_name": first,
            "dob": home["dob"] if is_twin else _day(rng),
            "email": f"{first}.{home['surname']}{rng.randrange(1000)}@{rng.choice(('post', 'mail', 'web'))}.example",
            "phone": home["phone"] if rng.random() < 0.3 else f"04{rng.randrange(10**8):08}",
        }
        for copy in range(1 if rng.random() < 0.6 else rng.randrange(2, 5)):
            for name in FIELDS:
                columns[name].append(_typed(rng, name, own[name], first=copy == 0))
            truth.append(person)
        person += 1
    order = list(range(records))
    rng.shuffle(order)
    return People(
        {name: [column[place] for place in order] for name, column in columns.items()},
        [truth[place] for place in order],
    )


def hash_of(text: str) -> int:
    """Return a number that is the same in every process."""
    return sum(ord(letter) * 31**place for place, letter in enumerate(text))


def _typed(rng: random.Random, name: str, value: str, *, first: bool) -> str | None:
    if rng.random() < (EMPTY / 3 if first else EMPTY):
        return None
    if name in PLACEHOLDERS and rng.random() < PLACEHOLDER_SHARE:
        return PLACEHOLDERS[name]
    if first or rng.random() > ERRORS or len(value) < 4:
        return value
    place = rng.randrange(1, len(value) - 1)
    kind = rng.randrange(3)
    if name == "dob" or kind == 0:
        return value[: place - 1] + value[place] + value[place - 1] + value[place + 1 :]
    return value[:place] + value[place + 1 :] if kind == 1 else value[:place] + value[place] + value[place:]


def _word(rng: random.Random, syllables: int) -> str:
    return "".join(rng.choice(STARTS) for _ in range(syllables - 1)) + rng.choice(ENDS)


def _day(rng: random.Random) -> str:
    return f"{rng.randrange(1940, 2008)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
