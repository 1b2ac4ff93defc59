"""Invent who the households are: names, contacts, web accounts, devices and choices.

Everything here is made up from the household's number by a seeded generator, for the data has cards only. Times are in
the data's own year; `ingestion.demo.shifting` moves them.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from uuid import UUID

from ingestion.demo.names import AREA_CODES, FIRST_NAMES, LAST_NAMES, MAIL_DOMAINS, USER_AGENTS

SEED = "complete-journey/1"
ONLINE_SHARE = 0.6
PURPOSES = ("marketing", "analytics", "personalization")
TERMINALS = 6


@dataclass(frozen=True, slots=True)
class Device:
    """A browser. `login_at` is None where nobody ever signed in on it, so that its visits stay anonymous."""

    anonymous_id: str
    user_agent: str
    first_seen_at: datetime
    login_at: datetime | None


@dataclass(frozen=True, slots=True)
class Account:
    """A login on the web site. `later_email` replaces the first address from `later_email_at` on."""

    user_id: str
    first_name: str
    email: str
    created_at: datetime
    devices: tuple[Device, ...]
    later_email: str = ""
    later_email_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person chose, for all three purposes at once. `account` is None for a form filled in at the till."""

    at: datetime
    categories: dict[str, bool]
    account: Account | None


@dataclass(frozen=True, slots=True)
class Household:
    """An invented household round a real card number's place in the data."""

    id: int
    card: str
    first_name: str
    last_name: str
    email: str
    phone: str
    accounts: tuple[Account, ...]
    choices: tuple[Choice, ...]


def card_number(household_id: int) -> str:
    """Return the household's loyalty card: an EAN-13 of the range that shops use inside their house (GS1 prefix 29)."""
    digits = f"29{household_id:010d}"
    odd, even = sum(map(int, digits[::2])), sum(map(int, digits[1::2]))
    return f"{digits}{-(odd + 3 * even) % 10}"


def invent_household(household_id: int, *, first_day: date, last_day: date) -> Household:
    """Return the household's people; the same number always gives the same people.

    Parameters
    ----------
    household_id : int
        The data's number.
    first_day, last_day : date
        The year in which accounts, devices and choices come about.
    """
    random = Random(f"{SEED}:household:{household_id}")  # noqa: S311 - invented people need no secrecy
    begin, end = datetime.combine(first_day, time()), datetime.combine(last_day, time(3))
    last_name = random.choice(LAST_NAMES)
    members = random.sample(FIRST_NAMES, 2)
    # The second number keeps addresses and telephone numbers apart: no two households may share one by accident.
    email = _email(random, members[0], last_name, household_id)
    # 555-0100 … 555-0199 are kept for fiction; 100 numbers in 20 area codes give each of 2 000 households its own.
    phone = f"+1{AREA_CODES[household_id % 20]}55501{household_id // 20 % 100:02d}" if household_id < 2000 else ""
    accounts: list[Account] = []
    if random.random() < ONLINE_SHARE:
        accounts.append(_account(random, household_id, 0, (members[0], last_name, email), (begin, end)))
        if random.random() < 0.03:
            other = _email(random, members[1], last_name, household_id)
            accounts.append(_account(random, household_id, 1, (members[1], last_name, other), (begin, end)))
    return Household(
        id=household_id,
        card=card_number(household_id),
        first_name=members[0],
        last_name=last_name,
        email=email if accounts or random.random() < 0.4 else "",
        phone=phone if random.random() < 0.45 else "",
        accounts=tuple(accounts),
        choices=tuple(_choices(random, accounts[0] if accounts else None, begin, end)),
    )


def _email(random: Random, first_name: str, last_name: str, household_id: int) -> str:
    return f"{first_name}.{last_name}{household_id}@{random.choice(MAIL_DOMAINS)}".lower()


def _account(
    random: Random, household_id: int, place: int, contact: tuple[str, str, str], year: tuple[datetime, datetime]
) -> Account:
    begin, end = year
    first_name, last_name, email = contact
    # Most accounts are opened in the first weeks, so that a year of visits follows; the others over the year.
    reach = timedelta(days=40) if random.random() < 0.7 else end - begin
    created_at = begin + timedelta(hours=8) + reach * random.random() * 0.95
    two_addresses = random.random() < 0.08
    return Account(
        user_id=f"web-{household_id:04d}{place or ''}-{random.randrange(16**4):04x}",
        first_name=first_name,
        email=email,
        created_at=created_at,
        devices=tuple(_devices(random, household_id, created_at, end)),
        later_email=f"{first_name[0]}{last_name}{household_id}@mail.{random.choice(MAIL_DOMAINS)}".lower()
        if two_addresses
        else "",
        later_email_at=created_at + (end - created_at) * random.random() if two_addresses else None,
    )


def _devices(random: Random, household_id: int, created_at: datetime, end: datetime) -> list[Device]:
    first_seen_at = created_at - timedelta(minutes=random.randint(4, 6 * 60))
    devices = [Device(_anonymous_id(random), random.choice(USER_AGENTS), first_seen_at, created_at)]
    for _ in range(random.choices((0, 1, 2), weights=(45, 38, 17))[0]):
        seen_at = created_at + (end - created_at) * random.random()
        login_at = seen_at + timedelta(days=random.expovariate(1 / 6))
        known = login_at < end and random.random() < 0.9
        devices.append(Device(_anonymous_id(random), random.choice(USER_AGENTS), seen_at, login_at if known else None))
    if random.random() < 0.025:
        # A terminal in a shop that several customers sign in on: what identity limits are for.
        at = created_at + (end - created_at) * random.random()
        devices.append(Device(f"terminal-{household_id % TERMINALS}", USER_AGENTS[4], at, at))
    return devices


def _anonymous_id(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def _choices(random: Random, account: Account | None, begin: datetime, end: datetime) -> list[Choice]:
    if account is None:
        if random.random() > 0.35:
            return []  # never asked: unknown is a state of its own
        at = begin + timedelta(days=1 + 300 * random.random())
        return [Choice(at, dict.fromkeys(PURPOSES, random.random() < 0.7), None)]
    if random.random() < 0.08:
        return []
    shares = dict(zip(PURPOSES, (0.66, 0.8, 0.55), strict=True))
    first = {purpose: random.random() < share for purpose, share in shares.items()}
    at = account.created_at + timedelta(minutes=1)
    choices = [Choice(at, first, account)]
    later = at + (end - at) * random.random()
    if first["marketing"] and random.random() < 0.16:
        # A withdrawal counts from when it is recorded, so that no grant with a time of the past could follow it.
        choices.append(Choice(later, first | {"marketing": False}, account))
    elif not first["marketing"] and random.random() < 0.2:
        choices.append(Choice(later, first | {"marketing": True}, account))
    return choices
