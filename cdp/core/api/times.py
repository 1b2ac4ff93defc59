"""Times and texts in query strings."""

from datetime import UTC, datetime

from django.utils.dateparse import parse_date, parse_datetime

from cdp.core.errors import FieldError, InvalidInput

MAX_CHARACTERS = 64


class BadTime(InvalidInput):
    """A parameter is not a time."""

    code = "input.bad_time"


def read_time(text: str | None, *, path: str) -> datetime | None:
    """Read ISO 8601; without a zone it is UTC, a date alone is its first moment. None and "" stay None.

    Parameters
    ----------
    path : str
        Name of the parameter, for the error.

    Raises
    ------
    BadTime
        If it is no time from year 1 on.
    """
    if not text:
        return None
    found: datetime | None = None
    # A `+` that was not escaped arrives as a space.
    tidy = text.strip().replace(" ", "+") if "T" in text else text.strip()
    try:
        if len(tidy) <= MAX_CHARACTERS:
            day = parse_date(tidy) if len(tidy) == 10 else None
            found = datetime(day.year, day.month, day.day, tzinfo=UTC) if day else parse_datetime(tidy)
        if found is not None:
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise _bad_time(path) from error
    raise _bad_time(path)


def _bad_time(path: str) -> BadTime:
    message = f"{path} is not a time. Give ISO 8601, e.g. 2026-01-31T12:00:00Z."
    return BadTime(message, errors=[FieldError(path=path, code=BadTime.code, message=message)])
