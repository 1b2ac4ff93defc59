"""What is searched for: each name of a person in every form in which it may have been written down."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

# Shorter names occur in everybody's data by chance ("42", "anna"), so a text search for them proves nothing either way;
# for these the stores' own counts stand.
SHORTEST = 6
# A piece of base64 that is shorter than this could stand anywhere.
SHORTEST_PIECE = 8
ENCODINGS = (
    "plain",
    "octal",
    "json",
    "url",
    "html",
    "quoted-printable",
    "hexadecimal",
    "base64",
    "md5",
    "sha1",
    "sha256",
)

# What may stand before or after a name: nothing that would make it part of a longer one. An e-mail address reaches
# further to the left. JSON writes a line break as two characters, of which the second is a letter.
_ESCAPE = r"\\[nrtbf]|\\u[0-9a-f]{4}"
_BEFORE = rf"(^|[^A-Za-z0-9]|{_ESCAPE})"
_BEFORE_EMAIL = rf"(^|[^A-Za-z0-9._%+-]|{_ESCAPE})"
_AFTER = r"(?![A-Za-z0-9])"
_PHONE = re.compile(r"\+\d{6,15}")


@dataclass(frozen=True)
class Needles:
    """A person's names, ready for each kind of search.

    `exact` are written in one way; `emails` (and public ids) in any case of letters.
    """

    exact: tuple[str, ...]
    emails: tuple[str, ...]
    uuids: tuple[str, ...]

    def without_uuids(self) -> "Needles":
        """Return the needles without public ids."""
        return Needles(self.exact, self.emails, ())

    @property
    def every(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.exact, *self.emails, *self.uuids)

    @cached_property
    def forms(self) -> list[str]:
        """Every text that is looked for."""
        written = [form for name in self.every for form in _written(name)]
        return list(dict.fromkeys([*written, *self.encoded, *self.hexadecimal]))

    @cached_property
    def encoded(self) -> list[str]:
        """The names in encodings in which the case of letters counts, wherever they stand."""
        return list(dict.fromkeys(form for name in (*self.exact, *self.emails) for form in _base64(name)))

    @cached_property
    def hexadecimal(self) -> list[str]:
        """The names in encodings in which the case of letters does not count, wherever they stand."""
        forms = [form for name in (*self.exact, *self.emails) for form in (name.encode().hex(), *_escaped(name))]
        return list(dict.fromkeys([*forms, *(form for name in self.every for form in _digests(name))]))

    @cached_property
    def patterns(self) -> list[str]:
        """LIKE patterns over text lowered from A to Z: a cheap first look."""
        return list(dict.fromkeys(_like(form) for form in self.forms)) or ["\x01"]

    @cached_property
    def expressions(self) -> list[tuple[str, str]]:
        """Regular expressions as PostgreSQL reads them, each with its flags; group 1 is what stands before."""
        found = []
        # Addresses first: a user id may be the beginning of one.
        if self.emails:
            found.append((f"{_BEFORE_EMAIL}({_any(self.emails)}){_AFTER}", "i"))
        if self.exact:
            found.append((f"{_BEFORE}({_any(self.exact)}){_AFTER}", ""))
        if self.uuids:
            found.append((f"{_BEFORE}({_any(self.uuids)}){_AFTER}", "i"))
        if self.encoded:
            found.append((f"()({'|'.join(map(_quote, self.encoded))})", ""))
        if self.hexadecimal:
            found.append((f"()({'|'.join(map(_quote, self.hexadecimal))})", "i"))
        return found

    @cached_property
    def bytes_expressions(self) -> list[re.Pattern[bytes]]:
        """The same expressions over bytes."""
        return [re.compile(text.encode(), re.IGNORECASE if flags else 0) for text, flags in self.expressions]

    @cached_property
    def numbers(self) -> str:
        """An expression for names that stand in JSON as numbers; empty where none is one."""
        digits = [name for name in self.exact if name.isascii() and name.isdecimal()]
        return rf"([:,\[] *)({'|'.join(digits)})(?= *[,\]}}])" if digits else ""

    @cached_property
    def folded(self) -> list[bytes]:
        """The same texts over bytes, for a cheap first look at bytes lowered from A to Z."""
        return list(dict.fromkeys(form.encode().lower() for form in self.forms))

    def found_in(self, raw: bytes) -> bool:
        """Tell whether bytes hold a trace."""
        # Looking for plain texts is several times cheaper than for expressions, and next to nowhere there is one.
        folded = raw.lower()
        return any(form in folded for form in self.folded) and any(
            expression.search(raw) for expression in self.bytes_expressions
        )

    @property
    def longest(self) -> int:
        """Bytes of the longest needle with what may stand around it."""
        return max((len(form.encode()) + 16 for form in self.forms), default=0)


def make_needles(*, names: Iterable[str], uuids: Iterable[str]) -> Needles:
    """Return the needles for a person's identifiers, in each of their spellings, and public ids."""
    wanted = [name for name in dict.fromkeys(names) if len(name.strip()) >= SHORTEST]
    return Needles(
        exact=tuple(name for name in wanted if "@" not in name),
        emails=tuple(name for name in wanted if "@" in name),
        uuids=tuple(dict.fromkeys(uuids)),
    )


def _written(name: str) -> Iterable[str]:
    return dict.fromkeys((name, _octal(name), _ascii_json(name)))


def _any(names: Iterable[str]) -> str:
    """Return alternatives that match the names as they are, as octal bytes and as JSON escapes."""
    return "|".join(_quote(form) for form in dict.fromkeys(form for name in names for form in _written(name)))


def _escaped(name: str) -> Iterable[str]:
    """Return a name as addresses, HTML and mails write it, where that differs."""
    html = "".join(char if char.isalnum() or char in "._-" else f"&#{ord(char)};" for char in name)
    mail = "".join(chr(byte) if chr(byte).isalnum() or byte in b"._-+@" else f"={byte:02x}" for byte in name.encode())
    at = mail.replace("@", "=40")
    return [form for form in dict.fromkeys((quote(name, safe=""), html, mail, at)) if form != name]


def _base64(name: str) -> Iterable[str]:
    """Return what of a name stands in base64 text, wherever in the text it begins."""
    raw = name.encode()
    for offset, dropped in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(bytes(offset) + raw).decode()
        piece = whole[dropped : (offset + len(raw)) * 8 // 6]
        if len(piece) >= SHORTEST_PIECE:
            yield piece
            yield piece.replace("+", "-").replace("/", "_")


def _digests(name: str) -> Iterable[str]:
    """Return the unkeyed digests of an address or number, as advertisers exchange them."""
    if "@" in name or _PHONE.fullmatch(name):
        for text in dict.fromkeys((name, name.lower(), name.lstrip("+"))):
            for kind in ("md5", "sha1", "sha256"):
                yield hashlib.new(kind, text.encode(), usedforsecurity=False).hexdigest()


def _quote(text: str) -> str:
    """Escape a text for a regular expression, in a way that PostgreSQL and Python read alike."""
    return re.sub(r"([^A-Za-z0-9\x80-\U0010ffff])", r"\\\1", text)


def _like(text: str) -> str:
    folded = "".join(char.lower() if "A" <= char <= "Z" else char for char in text)
    escaped = folded.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _octal(text: str) -> str:
    r"""Return a text as `encode(…, 'escape')` writes its bytes: ``\303\251`` for é."""
    return "".join(char if char.isascii() else "".join(f"\\{byte:03o}" for byte in char.encode()) for char in text)


def _ascii_json(text: str) -> str:
    r"""Return a text as JSON that is all ASCII, without the quotes: ``\u00e9`` for é."""
    return "".join(
        char
        if char.isascii()
        else "".join(f"\\u{int.from_bytes(pair, 'big'):04x}" for pair in _pairs(char.encode("utf-16-be")))
        for char in text
    )


def _pairs(raw: bytes) -> Iterable[bytes]:
    return (raw[place : place + 2] for place in range(0, len(raw), 2))
