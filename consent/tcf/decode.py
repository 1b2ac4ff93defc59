"""Reading a TCF 2 string: all of it, or an error that says why not.

References
----------
IAB Europe, Transparency and Consent String with Global Vendor & CMP List Formats, version 2.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from consent.errors import UnreadableTcString
from consent.tcf.bits import BitReader

VERSION = 2
# Real strings have some hundred characters; the bound keeps a hostile one from costing more than a millisecond or two.
MAX_CHARACTERS = 16_384
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DISCLOSED_VENDORS, ALLOWED_VENDORS, PUBLISHER = 1, 2, 3
LETTERS = 26
PURPOSES = 24
SPECIAL_FEATURES = 12
NOT_ALLOWED, REQUIRE_CONSENT, REQUIRE_LEGITIMATE_INTEREST, UNDEFINED = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Numbers:
    """A set of vendor or purpose numbers from 1 on, as a mask: bit *n* stands for number *n*."""

    mask: int = 0

    def __contains__(self, number: int) -> bool:
        return number > 0 and bool(self.mask >> number & 1)

    def __iter__(self) -> Iterator[int]:
        for number, flag in enumerate(reversed(f"{self.mask:b}")):
            if flag == "1":
                yield number

    def __len__(self) -> int:
        return self.mask.bit_count()


@dataclass(frozen=True, slots=True)
class Restriction:
    """What the publisher allows vendors for one purpose, whatever the person chose.

    `kind` is `NOT_ALLOWED`, `REQUIRE_CONSENT` or `REQUIRE_LEGITIMATE_INTEREST`.
    """

    purpose: int
    kind: int
    vendors: Numbers


@dataclass(frozen=True, slots=True)
class PublisherConsent:
    """What the person allowed the publisher itself."""

    purposes: Numbers
    legitimate_interests: Numbers
    custom_purposes: Numbers
    custom_legitimate_interests: Numbers


@dataclass(frozen=True, slots=True)
class TcString:
    """All that a string says. `disclosed_vendors` and `publisher` are None where it has no such segment."""

    created_at: datetime
    updated_at: datetime
    cmp_id: int
    cmp_version: int
    consent_screen: int
    language: str
    vendor_list_version: int
    policy_version: int
    service_specific: bool
    non_standard_texts: bool
    special_features: Numbers
    purposes: Numbers
    legitimate_interests: Numbers
    purpose_one_untreated: bool
    publisher_country: str
    vendors: Numbers
    vendor_legitimate_interests: Numbers
    restrictions: tuple[Restriction, ...]
    disclosed_vendors: Numbers | None = None
    publisher: PublisherConsent | None = None


def decode(text: str) -> TcString:
    """Read a transparency and consent string.

    Parameters
    ----------
    text : str
        The segments as a consent tool gives them, joined by dots.

    Raises
    ------
    UnreadableTcString
        If any part of it cannot be read: nothing of such a string counts.
    """
    if not text:
        raise UnreadableTcString("empty")
    if len(text) > MAX_CHARACTERS:
        raise UnreadableTcString("too_long")
    core, *others = text.split(".")
    found: dict[int, Numbers | PublisherConsent] = {}
    # The core first: a string of version 1 or of none has no segments that could be read.
    read = _read_core(BitReader(core))
    for segment in others:
        reader = BitReader(segment)
        kind = reader.read(3)
        if kind in found:
            raise UnreadableTcString("repeated_segment")
        if kind in {DISCLOSED_VENDORS, ALLOWED_VENDORS}:
            found[kind] = _read_vendors(reader)
        elif kind == PUBLISHER:
            found[kind] = _read_publisher(reader)
        else:
            raise UnreadableTcString("unknown_segment")
        reader.finish()
    disclosed, publisher = found.get(DISCLOSED_VENDORS), found.get(PUBLISHER)
    assert disclosed is None or isinstance(disclosed, Numbers)
    assert publisher is None or isinstance(publisher, PublisherConsent)
    return replace(read, disclosed_vendors=disclosed, publisher=publisher)


def _read_core(reader: BitReader) -> TcString:
    """Read the fields of the core, in their order on the wire."""
    if reader.read(6) != VERSION:
        raise UnreadableTcString("wrong_version")
    core = TcString(
        created_at=_read_moment(reader),
        updated_at=_read_moment(reader),
        cmp_id=reader.read(12),
        cmp_version=reader.read(12),
        consent_screen=reader.read(6),
        language=_read_letters(reader),
        vendor_list_version=reader.read(12),
        policy_version=reader.read(6),
        service_specific=reader.read_flag(),
        non_standard_texts=reader.read_flag(),
        special_features=Numbers(reader.read_set(SPECIAL_FEATURES)),
        purposes=Numbers(reader.read_set(PURPOSES)),
        legitimate_interests=Numbers(reader.read_set(PURPOSES)),
        purpose_one_untreated=reader.read_flag(),
        publisher_country=_read_letters(reader),
        vendors=_read_vendors(reader),
        vendor_legitimate_interests=_read_vendors(reader),
        restrictions=tuple(_read_restriction(reader) for _ in range(reader.read(12))),
    )
    reader.finish()
    return core


def _read_moment(reader: BitReader) -> datetime:
    """Read tenths of a second since 1970."""
    return EPOCH + timedelta(milliseconds=reader.read(36) * 100)


def _read_letters(reader: BitReader) -> str:
    first, second = reader.read(6), reader.read(6)
    if first >= LETTERS or second >= LETTERS:
        raise UnreadableTcString("bad_letters")
    return chr(ord("A") + first) + chr(ord("A") + second)


def _read_vendors(reader: BitReader) -> Numbers:
    greatest = reader.read(16)
    if reader.read_flag():
        return _read_ranges(reader, greatest)
    return Numbers(reader.read_set(greatest))


def _read_ranges(reader: BitReader, greatest: int) -> Numbers:
    mask = 0
    for _ in range(reader.read(12)):
        is_range = reader.read_flag()
        start = reader.read(16)
        end = reader.read(16) if is_range else start
        if not 1 <= start <= end <= greatest:
            raise UnreadableTcString("bad_range")
        mask |= ((1 << (end - start + 1)) - 1) << start
    return Numbers(mask)


def _read_restriction(reader: BitReader) -> Restriction:
    purpose, kind = reader.read(6), reader.read(2)
    if kind == UNDEFINED or not 1 <= purpose <= PURPOSES:
        raise UnreadableTcString("bad_restriction")
    return Restriction(purpose, kind, _read_ranges(reader, 0xFFFF))


def _read_publisher(reader: BitReader) -> PublisherConsent:
    purposes, legitimate_interests = reader.read_set(PURPOSES), reader.read_set(PURPOSES)
    own = reader.read(6)
    custom, custom_legitimate = reader.read_set(own), reader.read_set(own)
    return PublisherConsent(*map(Numbers, (purposes, legitimate_interests, custom, custom_legitimate)))
