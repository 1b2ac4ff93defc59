"""Splitting a segment at random: parts that are pure functions of the person's public id and a salt."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cdp.core.errors import FieldError
from segments.errors import InvalidDefinition
from segments.language.values import number_text
from segments.models import Segment
from segments.queries.segments import get_segment, read_definitions
from segments.services.definitions import NewSegment, create_segment
from segments.services.evaluation import Clock


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a segment: its key, name and share in percent. What no part takes is nobody's."""

    key: str
    name: str
    percent: Decimal


def split_segment(
    *, key: str, parts: Sequence[Part], salt: str, actor: str, clock: Clock
) -> list[tuple[Segment, bool]]:
    """Make a segment for each part, of the status of the whole; the same again changes nothing.

    Parameters
    ----------
    salt : str
        Decides who falls into which part: the same salt gives the same parts, whatever segment is split.

    Returns
    -------
    list of (Segment, bool)
        Whether each is new.

    Raises
    ------
    NoSuchSegment
        If there is none.
    InvalidDefinition
        If the shares come to more than 100.
    KeyTaken
        If a key belongs to another segment; parts made before stay.
    """
    whole = get_segment(key=key)
    if sum(part.percent for part in parts) > 100:
        message = "The shares of all parts must come to at most 100."
        raise InvalidDefinition([FieldError("parts", "invalid_value", message)])
    timezone = read_definitions([whole])[whole.pk].get("timezone", "installation")
    made = []
    offset = Decimal(0)
    for part in parts:
        sample = {"type": "sample", "percent": _number(part.percent), "salt": salt, "offset": _number(offset)}
        match = {"type": "all", "of": [{"type": "segment", "key": key}, sample]}
        new = NewSegment(
            key=part.key,
            name=part.name or f"{whole.name}, {number_text(part.percent)} %",
            definition={"version": 1, "timezone": timezone, "match": match},
            status=whole.status,
            purpose=whole.purpose,
            channel=whole.channel,
        )
        made.append(create_segment(new=new, actor=actor, clock=clock))
        offset += part.percent
    return made


def _number(value: Decimal) -> Any:
    return int(value) if value == int(value) else float(value)
