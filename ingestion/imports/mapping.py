"""What becomes of each column of a file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cdp.core.errors import FieldError
from ingestion.errors import InvalidImport
from ingestion.spec.limits import MAX_KEY_CHARACTERS, MAX_NAME_CHARACTERS

RECORDS = ("profiles", "events", "messages")
TYPES = ("text", "number", "boolean", "time", "list", "json")
MODES = ("overwrite", "keep", "append")
EMPTY = ("skip", "unset")
# Given by imports themselves: `SOURCE/KEY`.
RECORD_ID = "record_id"
DELETE_VALUES = ("1", "true", "yes", "y", "x", "deleted")
MAX_COLUMNS = 1_000
CODE = "import.invalid"


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """The mapping of a file.

    Attributes
    ----------
    records : str
        ``profiles``: each row is a person; ``events``: each row happened to one; ``messages``: each line is a message
        as Segment archives them.
    key : str
        The column that names the record within its source; of events: that makes a row the same event again.
    identifiers : mapping
        Column → identifier type.
    traits : mapping
        Column → name of the trait (of an event: of the property). Columns named nowhere keep their own name.
    ignore : tuple of str
        Columns that are left out.
    types : mapping
        Column → one of `TYPES`, chosen by a person: a value of another type is a fault of the row.
    modes : mapping
        Trait → what happens where the profile has a value: it is overwritten, kept, or appended to.
    time : str
        The column that says when the row was true or happened; ``""``: when the import began.
    event, event_column : str
        Name of all events, or the column with the name of each.
    delete_column, delete_values : str, tuple of str
        A row whose column holds one of these (whatever case) takes the record back.
    separator : str
        Between the members of a list in one cell.
    empty : str
        What an empty cell says: nothing (``skip``) or that the trait has no value (``unset``).
    """

    records: str = "profiles"
    key: str = ""
    identifiers: Mapping[str, str] = field(default_factory=dict)
    traits: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)
    time: str = ""
    event: str = ""
    event_column: str = ""
    delete_column: str = ""
    delete_values: tuple[str, ...] = DELETE_VALUES
    separator: str = ";"
    empty: str = "skip"

    def as_json(self) -> dict[str, Any]:
        """Return what `read_mapping` reads again, without what is as by default."""
        standard = asdict(ColumnMapping())
        given = {name: value for name, value in asdict(self).items() if value and value != standard[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}

    def trait_columns(self, columns: Sequence[str]) -> dict[str, str]:
        """Return column → trait of every column that becomes one."""
        taken = {
            self.key, self.time, self.event_column, self.delete_column, *self.ignore, *self.identifiers,
        }  # fmt: skip
        found = {column: self.traits[column] for column in columns if column in self.traits}
        found.update({column: column for column in columns if column not in taken and column not in found})
        return found


_TEXTS = ("records", "key", "time", "event", "event_column", "delete_column", "separator", "empty")
_LISTS = ("ignore", "delete_values")
_OBJECTS = ("identifiers", "traits", "types", "modes")


def read_mapping(given: Any) -> ColumnMapping:
    """Read a mapping from JSON.

    Raises
    ------
    InvalidImport
        If it has an unknown member or one of a wrong type.
    """
    if not isinstance(given, dict):
        message = "The mapping must be a JSON object."
        raise InvalidImport(message)
    faults: list[tuple[str, str]] = []
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in _TEXTS and isinstance(value, str):
            found[name] = value
        elif name in _LISTS and isinstance(value, list) and all(isinstance(one, str) for one in value):
            found[name] = tuple(value)
        elif name in _OBJECTS and isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
            found[name] = value
        elif name in (*_TEXTS, *_LISTS, *_OBJECTS):
            kind = "a text" if name in _TEXTS else "a list of texts" if name in _LISTS else "an object of texts"
            faults.append((name, f"{name} must be {kind}."))
        else:
            faults.append((str(name)[:100], f"There is no member of this name. Members: {', '.join(_members())}."))
    _refuse(faults)
    return ColumnMapping(**found)


def _members() -> tuple[str, ...]:
    return (*_TEXTS, *_LISTS, *_OBJECTS)


def check_mapping(mapping: ColumnMapping, *, columns: Sequence[str], identifier_types: Collection[str]) -> None:
    """Check that a mapping fits a file and the identifier types.

    Parameters
    ----------
    columns : sequence of str
        Of the file; of JSON Lines those of its first rows.
    identifier_types : collection of str
        Keys of the types that there are.

    Raises
    ------
    InvalidImport
        With every fault.
    """
    faults = [*_check_choices(mapping), *_check_names(mapping)]
    if mapping.records != "messages":
        faults += _check_columns(mapping, columns)
        faults += _check_identifiers(mapping, identifier_types)
        if mapping.records == "profiles" and not mapping.key:
            faults.append(("key", "Name the key: the column that names each record within its source."))
        if mapping.records == "events":
            faults += _check_events(mapping)
    _refuse(faults)


def _check_choices(mapping: ColumnMapping) -> list[tuple[str, str]]:
    faults = []
    if mapping.records not in RECORDS:
        faults.append(("records", f"records is one of {', '.join(RECORDS)}."))
    if mapping.empty not in EMPTY:
        faults.append(("empty", f"empty is one of {', '.join(EMPTY)}."))
    if not mapping.separator:
        faults.append(("separator", "The separator of lists is empty."))
    faults += [
        (f"types.{column}", f"{kind!r} is not a type. Types: {', '.join(TYPES)}.")
        for column, kind in mapping.types.items()
        if kind not in TYPES
    ]
    faults += [
        (f"modes.{trait}", f"{mode!r} is not a mode. Modes: {', '.join(MODES)}.")
        for trait, mode in mapping.modes.items()
        if mode not in MODES
    ]
    return faults


def _check_names(mapping: ColumnMapping) -> list[tuple[str, str]]:
    faults = []
    for column, trait in mapping.traits.items():
        if not trait.strip() or len(trait) > MAX_KEY_CHARACTERS or "\0" in trait:
            faults.append((f"traits.{column}", f"The name of a trait has 1 to {MAX_KEY_CHARACTERS} characters."))
    return faults


def _check_columns(mapping: ColumnMapping, columns: Sequence[str]) -> list[tuple[str, str]]:
    known = set(columns)
    named = [
        ("key", mapping.key), ("time", mapping.time), ("event_column", mapping.event_column),
        ("delete_column", mapping.delete_column),
    ]  # fmt: skip
    named += [("identifiers", column) for column in mapping.identifiers]
    named += [("traits", column) for column in mapping.traits]
    named += [("types", column) for column in mapping.types]
    named += [("ignore", column) for column in mapping.ignore]
    there = ", ".join(columns[:50])
    faults = [
        (place, f"The file has no column {column!r}. Its columns: {there}.")
        for place, column in named
        if column and column not in known
    ]
    by_trait: dict[str, str] = {}
    for column, trait in mapping.trait_columns(columns).items():
        if trait in by_trait:
            faults.append((f"traits.{column}", f"{by_trait[trait]!r} and {column!r} would both become {trait!r}."))
        by_trait[trait] = column
    faults += [
        (f"modes.{trait}", f"No column becomes a trait {trait!r}.") for trait in mapping.modes if trait not in by_trait
    ]
    return faults


def _check_identifiers(mapping: ColumnMapping, identifier_types: Collection[str]) -> list[tuple[str, str]]:
    allowed = sorted(set(identifier_types) - {RECORD_ID})
    return [
        (f"identifiers.{column}", f"{kind!r} is not an identifier type. Types: {', '.join(allowed)}.")
        for column, kind in mapping.identifiers.items()
        if kind not in allowed
    ]


def _check_events(mapping: ColumnMapping) -> list[tuple[str, str]]:
    faults = []
    if not mapping.identifiers:
        faults.append(("identifiers", "Name at least one column with an identifier: whose event is it?"))
    if bool(mapping.event) == bool(mapping.event_column):
        faults.append(("event", "Name either the event of all rows (event) or the column with its name."))
    if len(mapping.event) > MAX_NAME_CHARACTERS:
        faults.append(("event", f"The name of an event has at most {MAX_NAME_CHARACTERS} characters."))
    if mapping.delete_column or mapping.modes:
        faults.append(("delete_column" if mapping.delete_column else "modes", "This is for profiles, not for events."))
    return faults


def _refuse(faults: list[tuple[str, str]]) -> None:
    if faults:
        raise InvalidImport(
            " ".join(message for _, message in faults),
            errors=[FieldError(path=path, code=CODE, message=message) for path, message in faults],
        )
