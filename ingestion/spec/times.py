"""Reading times and correcting the sender's clock.

References
----------
Segment common fields specification: timestamp = receivedAt - (sentAt - originalTimestamp).
"""

import re
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final

from ingestion.spec.message import Faulty

FUTURE_TOLERANCE = timedelta(minutes=5)
MIN_YEAR = 1970
MAX_ORIGINAL_CHARACTERS = 64

_DATE_FORM = re.compile(r"([+-]?\d{4,})-\d{1,2}(-\d{1,2})?([T ].*)?", re.S | re.A)
_BASIC_FORM = re.compile(r"\d{8}T\d{4,}", re.A)


class _Unreadable(Enum):
    """A value that is present but names no instant."""

    VALUE = 0


UNREADABLE: Final = _Unreadable.VALUE


def read_time(value: object) -> datetime | _Unreadable | None:
    """Read one time.

    Parameters
    ----------
    value : object
        ISO 8601 text with or without a fraction; without an offset it is UTC.

    Returns
    -------
    datetime, UNREADABLE or None
        In UTC; `UNREADABLE` for anything that names no instant (numbers included); None where absent.

    Raises
    ------
    Faulty
        ``time_out_of_range``: a date whose year is outside 1970 to 9999.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return UNREADABLE
    try:
        if value[4:5] != "-":
            return _read_odd_time(value)
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not UTC:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return _read_odd_time(value)
    if moment.year < MIN_YEAR:
        raise _out_of_range()
    return moment


def _read_odd_time(text: str) -> datetime | _Unreadable:
    """Read what the first attempt refused: odd spellings, years out of range, or nothing readable."""
    trimmed = text.strip().upper()
    form = _DATE_FORM.fullmatch(trimmed)
    if form and not MIN_YEAR <= int(form[1][:9]) <= 9999:
        raise _out_of_range()
    if not form and not _BASIC_FORM.match(trimmed):
        return UNREADABLE
    try:
        moment = datetime.fromisoformat(trimmed)
    except ValueError:
        return UNREADABLE
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise _out_of_range() from None
    if moment.year < MIN_YEAR:
        raise _out_of_range()
    return moment


def _out_of_range() -> Faulty:
    return Faulty("time_out_of_range", "A time of the message is outside the years 1970 to 9999.")


def read_sent_at(value: object, warnings: list[str]) -> datetime | None:
    """Read a ``sentAt``; one that is unreadable or out of range counts as missing, with a warning."""
    try:
        moment = read_time(value)
    except Faulty:
        moment = UNREADABLE
    if moment is not UNREADABLE:
        return moment
    warnings.append("unusable_sent_at")
    return None


def correct_clock(  # noqa: PLR0912 - every branch is a rule, and this runs for each message
    item: dict[str, Any], *, batch_sent_at: datetime | None, received_at: datetime, warnings: list[str]
) -> tuple[datetime, str | None, datetime | None]:
    """Decide when a message occurred.

    Parameters
    ----------
    item : dict
        With ``timestamp`` (Segment), ``originalTimestamp`` (RudderStack), both or neither; ``sentAt``.
    batch_sent_at : datetime or None
        Used where the item has no usable ``sentAt``.
    received_at : datetime
        The server's clock at arrival, UTC.
    warnings : list of str
        Extended by ``unparsable_time``, ``unusable_sent_at``, ``future_time``.

    Returns
    -------
    tuple
        ``occurred_at`` (never after `received_at`), the original time as given, ``sent_at``.

    Raises
    ------
    Faulty
        ``time_out_of_range``.

    Notes
    -----
    With both times, ``timestamp`` is the caller's own and is not corrected; a single one is the device's.
    """
    get = item.get
    sent_at = get("sentAt")
    if sent_at is not None:
        sent_at = read_sent_at(sent_at, warnings)
    if sent_at is None:
        sent_at = batch_sent_at
    given = get("timestamp")
    own = read_time(given) if given is not None else None
    original = get("originalTimestamp")
    device = read_time(original) if original is not None else None
    given = original or given
    if own is UNREADABLE:
        warnings.append("unparsable_time")
        own = None
    if device is UNREADABLE:
        warnings.append("unparsable_time")
        device = None
    if given.__class__ is not str:
        given = None if given is None else str(given)
    given = given[:MAX_ORIGINAL_CHARACTERS] or None if given else None

    if own is not None and device is not None:
        corrected = own
    else:
        single = device if own is None else own
        if single is None:
            return received_at, given, sent_at
        corrected = single
        if sent_at is not None:
            try:
                moved = received_at - (sent_at - corrected)
            except OverflowError:
                warnings.append("unusable_sent_at")
            else:
                if moved.year >= MIN_YEAR:
                    corrected = moved
                else:
                    # A sender's clock so wrong that it moves the event before 1970 corrects nothing.
                    warnings.append("unusable_sent_at")
    if corrected > received_at:
        if corrected - received_at > FUTURE_TOLERANCE:
            warnings.append("future_time")
        corrected = received_at
    return corrected, given, sent_at
