"""The formulae: shares of 0 to 100 of what was counted, None where there was nothing to measure.

Notes
-----
Each share is bounded and moves one way only: one more good one never lowers it, one more bad one never raises it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate

# How much each dimension weighs in the score. What has nothing to measure is left out, and the others weigh more.
WEIGHTS = {
    "completeness": 25,
    "validity": 25,
    "conformity": 15,
    "timeliness": 15,
    "uniqueness": 10,
    "consistency": 10,
}
# A field that no rule asks for is expected if at least this share of the event's messages had it.
USUAL_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Dimensions:
    """How good something is, in six respects, 0 to 100."""

    completeness: float | None = None
    validity: float | None = None
    conformity: float | None = None
    timeliness: float | None = None
    uniqueness: float | None = None
    consistency: float | None = None


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """What was counted of one field of one event.

    Attributes
    ----------
    messages : int
        Messages of the event.
    kinds : tuple of int
        How often it came as text, number, true or false, list, object; empty values are not among them.
    faults : int
        Values that plan or cleaning found fault with, and which stayed.
    stopped : int
        The same, of values that were dropped or stopped their message: they are in none of the kinds.
    checked, broken : int
        Held against bounds and allowed values, and outside of them.
    referred, unknown : int
        Held against what is known elsewhere, and not known there.
    compared, agreed : int
        Compared with another source's value for the same person, and the same.
    is_expected : bool
        Each message should have it.
    """

    messages: int
    kinds: tuple[int, ...]
    faults: int = 0
    stopped: int = 0
    checked: int = 0
    broken: int = 0
    referred: int = 0
    unknown: int = 0
    compared: int = 0
    agreed: int = 0
    is_expected: bool = True

    @property
    def filled(self) -> int:
        """How many messages had a value."""
        return sum(self.kinds)

    @property
    def odd(self) -> int:
        """How many values are of another kind than most."""
        return self.filled - max(self.kinds, default=0)

    @property
    def bad(self) -> int:
        """How many values are odd or faulty: at most all of them."""
        return min(self.filled, self.odd + self.faults) + self.stopped


def share(good: float, total: float) -> float | None:
    """Return which part of a total is good, in percent; None of nothing."""
    return None if total <= 0 else 100.0 * min(max(good / total, 0.0), 1.0)


def is_usual(filled: int, messages: int) -> bool:
    """Tell whether a field comes so often that its absence is a lack."""
    return messages > 0 and filled >= USUAL_SHARE * messages


def field_dimensions(one: FieldCounts) -> Dimensions:
    """Return how good a field is; its completeness is the share of messages that have it, expected or not."""
    return Dimensions(
        completeness=share(one.filled, one.messages),
        validity=share(one.filled + one.stopped - one.bad, one.filled + one.stopped),
        conformity=share(one.checked - one.broken + one.referred - one.unknown, one.checked + one.referred),
        consistency=share(one.agreed, one.compared),
    )


def field_score(one: FieldCounts) -> float | None:
    """Return the score of a field; that an optional one seldom comes does not lower it."""
    dimensions = field_dimensions(one)
    return score(dimensions if one.is_expected else replace(dimensions, completeness=None))


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What was counted of a source beside its fields.

    Attributes
    ----------
    received, duplicates, faulty : int
        Messages that came; copies of earlier ones; those that were rejected or quarantined.
    refused : int
        Identifiers that were left out because they belong to somebody else, or to too many.
    measured, late : int
        Messages whose delay is known, and those that came too late.
    kept : float or None
        Which part of the time the expected frequency was kept, 0 to 1; None: nothing is expected.
    """

    received: int = 0
    duplicates: int = 0
    faulty: int = 0
    refused: int = 0
    measured: int = 0
    late: int = 0
    kept: float | None = None


def source_dimensions(source: SourceCounts, fields: Sequence[FieldCounts]) -> Dimensions:
    """Return how good a source is.

    Completeness takes the expected fields, each weighing as much as its event has messages; validity is the part of
    values without fault, times the part of messages that were not stopped; timeliness is the mean of what came in time
    and how well the expected frequency was kept.
    """
    expected = [one for one in fields if one.is_expected]
    values = sum(one.filled + one.stopped for one in fields)
    sound = share(values - sum(one.bad for one in fields), values)
    taken = share(source.received - source.duplicates - source.faulty, source.received - source.duplicates)
    on_time = share(source.measured - source.late, source.measured)
    return Dimensions(
        completeness=share(sum(one.filled for one in expected), sum(one.messages for one in expected)),
        validity=_product(sound, taken),
        conformity=share(
            sum(one.checked - one.broken + one.referred - one.unknown for one in fields),
            sum(one.checked + one.referred for one in fields),
        ),
        timeliness=_mean([on_time, None if source.kept is None else share(source.kept, 1)]),
        uniqueness=share(source.received - source.duplicates - source.refused, source.received),
        consistency=share(sum(one.agreed for one in fields), sum(one.compared for one in fields)),
    )


def score(dimensions: Dimensions) -> float | None:
    """Return the mean of the dimensions that could be measured, weighted by `WEIGHTS`; None if none could."""
    values: Mapping[str, float | None] = asdict(dimensions)
    measured = {name: value for name, value in values.items() if value is not None}
    if not measured:
        return None
    return sum(WEIGHTS[name] * value for name, value in measured.items()) / sum(WEIGHTS[name] for name in measured)


def kept_frequency(hourly: Sequence[int], every_minutes: int) -> float | None:
    """Return which part of the time an expected frequency was kept.

    Parameters
    ----------
    hourly : sequence of int
        Messages of each hour without a gap, oldest first.
    every_minutes : int
        At least one message is expected in each period of this length.

    Returns
    -------
    float or None
        The mean over the hours of: messages of the last period (at least of one hour) by those expected in it, at most
        1. The first hours only serve as the past of the others; None if no hour is left.
    """
    hours = max(1, -(-every_minutes // 60))
    wanted = max(1.0, 60 / every_minutes)
    if len(hourly) < hours:
        return None
    sums = [0, *accumulate(hourly)]
    parts = [min(1.0, (sums[end] - sums[end - hours]) / wanted) for end in range(hours, len(hourly) + 1)]
    return sum(parts) / len(parts)


def _product(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return one * other / 100.0


def _mean(parts: Iterable[float | None]) -> float | None:
    known = [one for one in parts if one is not None]
    return sum(known) / len(known) if known else None
