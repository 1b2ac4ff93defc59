"""What a row of a file says, by its mapping: a message, that its record is gone, or a fault."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingestion.imports.cells import lenient, plain, read_moment, strict, text_of
from ingestion.imports.mapping import RECORD_ID, ColumnMapping
from ingestion.imports.table import Row, Unreadable
from ingestion.spec.identifiers import IdentifierRules, add_identifier, read_id
from ingestion.spec.item import read_item
from ingestion.spec.limits import MAX_MESSAGE_ID_CHARACTERS, MAX_NAME_CHARACTERS, MAX_TRAITS
from ingestion.spec.message import Fault, Faulty, Identifier, Message
from ingestion.spec.soundness import check_item, storable_text
from ingestion.spec.split import Batch

CONTEXT_OF_ARCHIVE = Batch("", [])


@dataclass(frozen=True, slots=True)
class Gone:
    """The row says that its record was deleted where it came from: `identifier` is its `record_id`."""

    identifier: Identifier


@dataclass(frozen=True, slots=True)
class RowContext:
    """What the rows of an import share.

    Attributes
    ----------
    source : str
        Key of the source.
    prefix : str
        Of the message ids: `prefix` and the row's number are unique to the row.
    began_at : datetime
        When the import began: rows without a time of their own were true then. UTC.
    max_bytes : int
        Limit of a row's compact JSON.
    rules : IdentifierRules
        The configured identifier types.
    """

    source: str
    prefix: str
    began_at: datetime
    max_bytes: int
    rules: IdentifierRules


ReadRow = Callable[[Row, int], Message | Gone | Fault]


def compile_mapping(
    mapping: ColumnMapping, *, columns: tuple[str, ...], types: Mapping[str, str], context: RowContext
) -> ReadRow:
    """Return the function that reads one row.

    Parameters
    ----------
    columns : tuple of str
        Of the file.
    types : mapping
        Column → type that was inferred; those of the mapping go first, and are strict.

    Returns
    -------
    callable
        (row, its number from 1) → what it says. Never raises for what a row holds.
    """
    if mapping.records == "messages":
        return _MessageReader(context)
    return _RowReader(mapping, columns, types, context)


class _MessageReader:
    """Reads lines that are messages."""

    def __init__(self, context: RowContext) -> None:
        self._context = context

    def __call__(self, row: Row, number: int) -> Message | Gone | Fault:
        own_id = f"{self._context.prefix}{number}"
        if isinstance(row, Unreadable):
            return Fault(row.code, row.message, own_id)
        if not isinstance(row, dict):
            return Fault("not_an_object", "The line is no JSON object.", own_id)
        found = read_item(
            row,
            batch=CONTEXT_OF_ARCHIVE,
            received_at=self._context.began_at,
            max_event_bytes=self._context.max_bytes,
            rules=self._context.rules,
            new_id=lambda: own_id,
        )
        # A bad row must not stand in the way of a good one with the same message id, from this file or another.
        return Fault(found.code, found.message, own_id) if isinstance(found, Fault) else found


class _RowReader:
    """Reads rows of cells."""

    def __init__(
        self, mapping: ColumnMapping, columns: tuple[str, ...], types: Mapping[str, str], context: RowContext
    ) -> None:
        place = {column: index for index, column in enumerate(columns)}
        self._context = context
        self._columns = columns
        self._known = frozenset(columns)
        self._is_event = mapping.records == "events"
        self._key = place.get(mapping.key, -1)
        self._time = place.get(mapping.time, -1)
        self._event = mapping.event
        self._event_place = place.get(mapping.event_column, -1)
        self._delete = place.get(mapping.delete_column, -1)
        self._deleting = frozenset(value.strip().lower() for value in mapping.delete_values)
        self._unsets = mapping.empty == "unset"
        self._identifiers = [(place[column], kind) for column, kind in mapping.identifiers.items()]
        self._traits = [
            (
                place[column],
                trait,
                strict(mapping.types[column], mapping.separator)
                if column in mapping.types
                else lenient(types.get(column, "text")),
            )
            for column, trait in mapping.trait_columns(columns).items()
        ]

    def __call__(self, row: Row, number: int) -> Message | Gone | Fault:
        own_id = f"{self._context.prefix}{number}"
        if isinstance(row, Unreadable):
            return Fault(row.code, row.message, own_id)
        try:
            return self._read(row, own_id)
        except Faulty as fault:
            return Fault(fault.code, fault.message, own_id)

    def _read(self, row: list[Any] | dict[str, Any], own_id: str) -> Message | Gone:
        more: dict[str, Any] = {}
        if isinstance(row, dict):
            cells = [row.get(column) for column in self._columns]
            # Later lines may have members that the first ones lack.
            more = {name: value for name, value in row.items() if name not in self._known}
        else:
            cells = row
        warnings: list[str] = []
        key = self._read_key(cells)
        if self._delete >= 0 and text_of(cells[self._delete]).strip().lower() in self._deleting:
            return Gone(self._record_id(key))
        traits = self._read_traits(cells, more)
        identifiers = self._read_identifiers(cells, key, warnings)
        occurred_at, original = self._read_time(cells, warnings)
        return self._message(own_id, key, cells, traits, identifiers, (occurred_at, original), warnings)

    def _message(  # noqa: PLR0913 - the parts of one row
        self,
        own_id: str,
        key: str,
        cells: list[Any],
        traits: dict[str, Any],
        identifiers: list[Identifier],
        times: tuple[datetime, str | None],
        warnings: list[str],
    ) -> Message:
        checked = check_item(
            {"traits": traits, "identifiers": [one[2] for one in identifiers], "key": key},
            max_event_bytes=self._context.max_bytes,
            warnings=warnings,
        )
        if checked["traits"] is not traits:
            # NUL was replaced: identifiers may hold it as well.
            traits = checked["traits"]
            identifiers = [(one[0], storable_text(one[1]), storable_text(one[2])) for one in identifiers]
        kind, name, message_id = "identify", "", own_id
        if self._is_event:
            kind = "track"
            name = self._event or text_of(cells[self._event_place]).strip()
            if not name:
                raise Faulty("no_event_name", "The row names no event.")
            name = name[:MAX_NAME_CHARACTERS]
            if key:
                message_id = f"row-{checked['key']}"[: MAX_MESSAGE_ID_CHARACTERS + 1]
                if len(message_id) > MAX_MESSAGE_ID_CHARACTERS:
                    raise Faulty("key_too_long", "The key of an event has at most 96 characters.")
        return Message(
            type=kind,
            message_id=message_id,
            name=name,
            occurred_at=times[0],
            original_timestamp=times[1],
            sent_at=None,
            properties=traits if self._is_event else {},
            traits=None if self._is_event else traits,
            context={},
            integrations={},
            user_id="",
            anonymous_id="",
            previous_id="",
            group_id="",
            identifiers=identifiers,
            warnings=warnings,
        )

    def _read_key(self, cells: list[Any]) -> str:
        if self._key < 0:
            return ""
        key = read_id(text_of(cells[self._key]).strip(), "The key", [])
        if not key and not self._is_event:
            raise Faulty("no_key", "The row has no key.")
        return key

    def _record_id(self, key: str) -> Identifier:
        found: list[Identifier] = []
        add_identifier(found, RECORD_ID, f"{self._context.source}/{key}", self._context.rules, [])
        if not found:
            raise Faulty("no_key", "The key of the row cannot name a record.")
        return found[0]

    def _read_traits(self, cells: list[Any], more: dict[str, Any]) -> dict[str, Any]:
        traits: dict[str, Any] = {}
        for place, trait, convert in self._traits:
            value = cells[place]
            if value is None or value == "":
                if self._unsets and not self._is_event:
                    traits[trait] = None
                continue
            if convert is None:
                traits[trait] = value if value.__class__ is str else plain(value)
                continue
            try:
                traits[trait] = convert(value)
            except Faulty as fault:
                raise Faulty(fault.code, f"Column {self._columns[place]!r}: {fault.message}") from None
        for name, value in more.items():
            if value is not None and value != "" and name not in traits:
                traits[name] = value
        if len(traits) > MAX_TRAITS:
            raise Faulty("too_many_traits", f"The row has {len(traits)} traits; the limit is {MAX_TRAITS}.")
        return traits

    def _read_identifiers(self, cells: list[Any], key: str, warnings: list[str]) -> list[Identifier]:
        rules = self._context.rules
        found: list[Identifier] = []
        for place, kind in self._identifiers:
            value = read_id(text_of(cells[place]), f"Column {self._columns[place]!r}", warnings)
            if value:
                add_identifier(found, kind, value, rules, warnings)
        if not self._is_event:
            found.append(self._record_id(key))
        elif not found:
            raise Faulty("no_identifier", "The row has no usable identifier: whose event is it?")
        if len(found) > 1:
            priorities = rules.priorities
            found.sort(key=lambda one: priorities[one[0]])
        return found

    def _read_time(self, cells: list[Any], warnings: list[str]) -> tuple[datetime, str | None]:
        began_at = self._context.began_at
        if self._time < 0:
            return began_at, None
        value = cells[self._time]
        if value is None or value == "":
            return began_at, None
        moment = read_moment(value)
        original = text_of(value)
        if moment > began_at:
            warnings.append("future_time")
            return began_at, original
        return moment, original
