"""Days on which nobody works, by country: pure, from the library `holidays`."""

from collections.abc import Container
from datetime import date
from functools import cache

from cdp.core.errors import CdpError


class UnknownCalendar(CdpError):
    """A country or region whose holidays are not known."""

    code = "calendar.unknown"
    status = 500


@cache
def read_calendar(text: str) -> Container[date]:
    """Return the public holidays of a country or region; empty text: none.

    Parameters
    ----------
    text : str
        An ISO 3166 code: ``DE``, or with a region ``DE-BE``.

    Raises
    ------
    UnknownCalendar
        If the library knows no such country or region.
    """
    if not text:
        return frozenset()
    # Takes a third of a second, which no process pays that asks for no holidays.
    from holidays import country_holidays  # noqa: PLC0415

    country, _, region = text.strip().upper().partition("-")
    try:
        return country_holidays(country, subdiv=region or None)
    except NotImplementedError as error:
        message = f"There are no holidays known for {text!r}. Name a country, or a region of it: DE, DE-BE, FR, US-CA."
        raise UnknownCalendar(message) from error
