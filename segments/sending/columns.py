"""Which values of a person are sent: columns of a file, or what a template may use."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cdp.core.errors import FieldError
from segments.sending.errors import InvalidSending
from segments.sending.hashing import TRANSFORMS, is_digest

SOURCE = re.compile(r"id|first_seen_at|last_seen_at|email|phone|identifier:[a-z0-9_]{1,64}|trait:[^\s:][^:]{0,190}")
MOST_COLUMNS = 100
# Where else a common trait may stand: Segment's spelling, and an address object.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "trait:first_name": ("trait:firstName",),
    "trait:last_name": ("trait:lastName",),
    "trait:postcode": ("trait:address.postalCode", "trait:postal_code", "trait:zip"),
    "trait:city": ("trait:address.city",),
    "trait:state": ("trait:address.state",),
    "trait:country": ("trait:address.country",),
    "trait:birthday": ("trait:birth_date", "trait:date_of_birth"),
}
KINDS = {"email": "email", "phone": "phone"}


@dataclass(frozen=True, slots=True)
class Column:
    """One value: its name in the file, where it comes from, and what it is turned into.

    Attributes
    ----------
    source : str
        ``id``, ``first_seen_at``, ``last_seen_at``; ``email`` and ``phone`` (the trait if the person has it, else the
        identifier); ``identifier:TYPE``; ``trait:NAME`` with dots for what lies within.
    transform : str
        A key of `hashing.TRANSFORMS`; ``""`` leaves the value as it is.
    """

    name: str
    source: str
    transform: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it shows something of a person that is hidden from who sees values masked."""
        return self.source != "id" and not is_digest(self.transform)

    def as_json(self) -> dict[str, str]:
        """Return it as REST shows and stores it."""
        return {"name": self.name, "source": self.source, "transform": self.transform}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one person, as the gate hands it out."""

    profile_id: int
    uuid: str
    traits: Mapping[str, Any]
    identifiers: Sequence[tuple[str, str]]
    times: Mapping[str, str] = field(default_factory=dict)


def read_columns(given: Any, *, path: str = "columns") -> tuple[Column, ...]:
    """Read columns: each ``{"name", "source", "transform"}``, or just the source as text.

    Raises
    ------
    InvalidSending
        For an unknown source or transform, no column at all, or a name used twice.
    """
    errors: list[FieldError] = []
    if not isinstance(given, list) or not given:
        message = "Give at least one column."
        raise InvalidSending([FieldError(path, "empty", message)])
    if len(given) > MOST_COLUMNS:
        message = f"At most {MOST_COLUMNS} columns."
        raise InvalidSending([FieldError(path, "too_many", message)])
    found = []
    for place, one in enumerate(given):
        column = _read_column(one, f"{path}.{place}", errors)
        if column is not None:
            found.append(column)
    names = [column.name for column in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        errors.append(FieldError(path, "repeated", f"The name “{name}” is used twice."))
    if errors:
        raise InvalidSending(errors)
    return tuple(found)


def _read_column(one: Any, path: str, errors: list[FieldError]) -> Column | None:
    if isinstance(one, str):
        one = {"source": one}
    if not isinstance(one, Mapping):
        errors.append(FieldError(path, "invalid", "A column is a text or an object {name, source, transform}."))
        return None
    unknown = sorted(set(map(str, one)) - {"name", "source", "transform"})
    if unknown:
        message = f"There is no such member: {unknown[0]}. Members: name, source, transform."
        errors.append(FieldError(path, "unknown", message))
        return None
    source, transform = one.get("source"), one.get("transform") or ""
    if not isinstance(source, str) or not SOURCE.fullmatch(source):
        message = "A source is id, email, phone, first_seen_at, last_seen_at, identifier:TYPE or trait:NAME."
        errors.append(FieldError(f"{path}.source", "unknown_source", message))
        return None
    if transform not in {"", *TRANSFORMS}:
        message = f"A transform is one of {', '.join(TRANSFORMS)}."
        errors.append(FieldError(f"{path}.transform", "unknown_transform", message))
        return None
    name = one.get("name") or source.rpartition(":")[2]
    if not isinstance(name, str) or len(name) > 200 or any(char in name for char in "\0\r\n"):
        errors.append(FieldError(f"{path}.name", "invalid", "A name is a text of at most 200 characters, one line."))
        return None
    return Column(name=name, source=source, transform=transform)


def value_of(person: Known, column: Column) -> Any:
    """Return a column's value of a person; None where there is none."""
    value = _held(person, column.source)
    if not column.transform:
        return value
    return TRANSFORMS[column.transform](value) or None


def values_of(person: Known, columns: Iterable[Column], *, hide: Callable[[Any, str], Any] | None = None) -> list[Any]:
    """Return the values of a person in the order of the columns.

    Parameters
    ----------
    hide : callable, optional
        Called with the value and its kind (``email``, ``phone``, ``text``) for columns that show something of the
        person; returns what is shown instead.
    """
    found = []
    for column in columns:
        value = value_of(person, column)
        if hide is not None and column.is_open:
            value = hide(value, KINDS.get(column.source.rpartition(":")[2], "text"))
        found.append(value)
    return found


def _held(person: Known, source: str) -> Any:
    kind, _, name = source.partition(":")
    if kind == "id":
        return person.uuid
    if kind == "trait":
        held = (_trait(person.traits, one.removeprefix("trait:")) for one in (source, *SPELLINGS.get(source, ())))
        return next((value for value in held if value is not None), None)
    if kind == "identifier":
        return _identifier(person, name)
    if kind in {"email", "phone"}:
        trait = person.traits.get(kind)
        return trait if isinstance(trait, str) and trait.strip() else _identifier(person, kind)
    return person.times.get(kind)


def _identifier(person: Known, kind: str) -> str | None:
    """Return the identifier of a type that was seen last: of several addresses the newest is likeliest to be read."""
    values = [value for found, value in person.identifiers if found == kind]
    return values[-1] if values else None


def _trait(traits: Mapping[str, Any], path: str) -> Any:
    if path in traits:
        return traits[path]
    value: Any = traits
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
