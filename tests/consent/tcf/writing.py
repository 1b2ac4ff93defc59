"""Writing consent strings, as a consent tool does: the other direction, so that reading can be tested against it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from consent.tcf.bits import ALPHABET

DAY = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    """What a string shall say; the defaults make one without a fault."""

    version: int = 2
    created_at: datetime = DAY
    updated_at: datetime = DAY
    cmp_id: int = 10
    cmp_version: int = 1
    consent_screen: int = 1
    language: str = "EN"
    vendor_list_version: int = 150
    policy_version: int = 5
    service_specific: bool = True
    non_standard_texts: bool = False
    special_features: frozenset[int] = frozenset()
    purposes: frozenset[int] = frozenset()
    legitimate_interests: frozenset[int] = frozenset()
    purpose_one_untreated: bool = False
    publisher_country: str = "DE"
    vendors: frozenset[int] = frozenset()
    vendor_legitimate_interests: frozenset[int] = frozenset()
    restrictions: tuple[tuple[int, int, frozenset[int]], ...] = ()
    disclosed_vendors: frozenset[int] | None = field(default=frozenset({1, 2}))
    publisher: tuple[frozenset[int], frozenset[int], int, frozenset[int], frozenset[int]] | None = None
    as_ranges: bool = False


def write(said: Said | None = None, **changes: object) -> str:
    """Return the string."""
    said = replace(said or Said(), **changes)
    core = [
        number(said.version, 6),
        moment(said.created_at),
        moment(said.updated_at),
        number(said.cmp_id, 12),
        number(said.cmp_version, 12),
        number(said.consent_screen, 6),
        letters(said.language),
        number(said.vendor_list_version, 12),
        number(said.policy_version, 6),
        number(said.service_specific, 1),
        number(said.non_standard_texts, 1),
        flags(said.special_features, 12),
        flags(said.purposes, 24),
        flags(said.legitimate_interests, 24),
        number(said.purpose_one_untreated, 1),
        letters(said.publisher_country),
        vendors(said.vendors, as_ranges=said.as_ranges),
        vendors(said.vendor_legitimate_interests, as_ranges=said.as_ranges),
        number(len(said.restrictions), 12),
    ]
    core += [number(purpose, 6) + number(kind, 2) + ranges(held) for purpose, kind, held in said.restrictions]
    segments = ["".join(core)]
    if said.disclosed_vendors is not None:
        segments.append(number(1, 3) + vendors(said.disclosed_vendors, as_ranges=said.as_ranges))
    if said.publisher is not None:
        purposes, interests, custom, custom_purposes, custom_interests = said.publisher
        segments.append(
            number(3, 3)
            + flags(purposes, 24)
            + flags(interests, 24)
            + number(custom, 6)
            + flags(custom_purposes, custom)
            + flags(custom_interests, custom)
        )
    return ".".join(map(base64, segments))


def number(value: int, width: int) -> str:
    return f"{int(value):0{width}b}"


def moment(at: datetime) -> str:
    return number(round(at.timestamp() * 10), 36)


def letters(text: str) -> str:
    return "".join(number(ord(letter) - ord("A"), 6) for letter in text)


def flags(held: frozenset[int], width: int) -> str:
    return "".join("1" if one in held else "0" for one in range(1, width + 1))


def vendors(held: frozenset[int], *, as_ranges: bool) -> str:
    greatest = max(held, default=0)
    if as_ranges:
        return number(greatest, 16) + "1" + ranges(held)
    return number(greatest, 16) + "0" + flags(held, greatest)


def ranges(held: frozenset[int]) -> str:
    runs: list[list[int]] = []
    for one in sorted(held):
        if runs and runs[-1][1] == one - 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    parts = [
        "0" + number(start, 16) if start == end else "1" + number(start, 16) + number(end, 16) for start, end in runs
    ]
    return number(len(runs), 12) + "".join(parts)


def base64(bits: str) -> str:
    """Return bits as base64url, filled up to whole bytes as consent tools do."""
    bits += "0" * (-len(bits) % 8)
    bits += "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))
