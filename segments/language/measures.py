"""Measures of events: count, sum, avg, min, max, distinct, days, and their comparison with a number (rule 7).

Sums and averages are exact: an average is never divided out, its sum is compared with the value times the count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from segments.language.condition_reference import COMPARE
from segments.language.conditions import NEGATIVE, WORDS
from segments.language.reading import (
    fault,
    join,
    read_choice,
    read_list,
    read_number,
    read_object,
    read_path,
    read_whole,
    shown,
)

FUNCTIONS = ("count", "sum", "avg", "min", "max", "distinct", "days")
WHOLE = ("count", "distinct", "days")
ZERO_WHEN_NONE = ("count", "sum", "distinct", "days")
WITH_PROPERTY = ("sum", "avg", "min", "max", "distinct")
OPERATORS = ("eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte", "between")
_SYMBOLS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_PRECISION = 400
MAX_THRESHOLDS = 8


@dataclass(frozen=True, slots=True)
class Measure:
    """A function over events, compared with a number.

    Attributes
    ----------
    function : str
        One of `FUNCTIONS`.
    of_what : tuple of str
        What it is taken of; empty for count and days.
    """

    function: str
    of_what: tuple[str, ...]
    operator: str
    values: tuple[Decimal, ...]

    def compare(self, measured: Decimal | None) -> bool:
        """Compare a measured value; None (avg, min, max of nothing) is false for every operator."""
        if measured is None:
            return False
        positive = NEGATIVE.get(self.operator, self.operator)
        return COMPARE[positive](measured, list(self.values)) is not (self.operator in NEGATIVE)

    def of(self, numbers: list[Decimal], count: int) -> tuple[bool, Any]:
        """Measure numbers and return whether the comparison holds, with what was measured.

        Parameters
        ----------
        numbers : list of Decimal
            Of sum, avg, min, max.
        count : int
            Of count, distinct, days.
        """
        if self.function in WHOLE:
            return self.compare(Decimal(count)), count
        if self.function != "sum" and not numbers:
            return False, None
        with localcontext() as context:
            context.prec = _PRECISION
            if self.function == "avg":
                total = sum(numbers, Decimal(0))
                scaled = Measure(
                    "sum", self.of_what, self.operator, tuple(value * len(numbers) for value in self.values)
                )
                return scaled.compare(total), float(total / len(numbers))
            measured = {
                "sum": lambda: sum(numbers, Decimal(0)),
                "min": lambda: min(numbers),
                "max": lambda: max(numbers),
            }
            value = measured[self.function]()
            return self.compare(value), float(value)

    @property
    def true_of_none(self) -> bool:
        """Whether it holds for people without any such event."""
        return self.function in ZERO_WHEN_NONE and self.compare(Decimal(0))

    @property
    def follows_count(self) -> bool:
        """Whether `thresholds` tell when a count changes the answer; else any event that leaves may."""
        return self.function == "count" and (bool(self.thresholds) or not self.values[0])

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Counts at which falling by one changes the comparison of a count; empty if too many to follow."""
        whole = [int(value) for value in self.values]
        steps = {
            "gte": whole,
            "lt": whole,
            "gt": [value + 1 for value in whole],
            "lte": [value + 1 for value in whole],
            "between": [whole[0], whole[-1] + 1],
        }
        default = [each for value in whole for each in (value, value + 1)]
        found = sorted({each for each in steps.get(self.operator, default) if each >= 1})
        return tuple(found) if len(found) <= MAX_THRESHOLDS else ()

    def sql(self, measured: str, values: list[str]) -> str:
        """Return the comparison of a measured expression; null stays null, so that it counts as false."""
        if self.operator == "between":
            return f"{measured} between {values[0]} and {values[1]}"
        if self.operator in _SYMBOLS:
            return f"{measured} {_SYMBOLS[self.operator]} {values[0]}"
        word = {"ne": "not in", "not_in": "not in", "in": "in"}[self.operator]
        return f"{measured} {word} ({', '.join(values)})"

    def words(self) -> str:
        """Return it in English, e.g. `at least 3 times`."""
        bare = WORDS[self.operator].removeprefix("is ")
        numbers = [f"{value:f}" for value in self.values]
        amount = " and ".join(numbers) if self.operator == "between" else ", ".join(numbers)
        compared = amount if self.operator == "eq" else f"{bare} {amount}"
        if self.function == "count":
            return f"{'exactly ' if self.operator == 'eq' else ''}{compared} {'time' if numbers == ['1'] else 'times'}"
        if self.function == "days":
            return f"on {compared} different {'day' if numbers == ['1'] else 'days'}"
        named = ".".join(self.of_what)
        what = {
            "sum": "total",
            "avg": "average",
            "min": "smallest",
            "max": "largest",
            "distinct": "number of different",
        }
        return f"with a {what[self.function]} {named} of {compared}"


AT_LEAST_ONCE = Measure("count", (), "gte", (Decimal(1),))


def read_measure(data: Mapping[str, Any], path: str) -> Measure:
    """Read `measure`, `op` and `value` of an event node; without any: at least once."""
    at = join(path, "measure")
    function = "count"
    named: tuple[str, ...] = ()
    if data.get("measure") is not None:
        measure = read_object(data["measure"], at, required=("fn",), optional=("property",))
        function = read_choice(measure["fn"], join(at, "fn"), FUNCTIONS)
        if (measure.get("property") is None) == (function in WITH_PROPERTY):
            needed = "needs" if function in WITH_PROPERTY else "takes no"
            raise fault(join(at, "property"), "invalid_value", f"{function} {needed} property")
        if function in WITH_PROPERTY:
            named = read_path(measure["property"], join(at, "property"))
    if data.get("op") is None and data.get("value") is None:
        if function == "count":
            return AT_LEAST_ONCE
        raise fault(join(path, "op"), "missing_key", f"{function} needs op and value")
    if data.get("op") is None and function != "count":
        raise fault(join(path, "op"), "missing_key", f"{function} needs op")
    operator = read_choice(data.get("op") or "gte", join(path, "op"), OPERATORS)
    return Measure(function, named, operator, _read_values(data.get("value"), function, operator, join(path, "value")))


def _read_values(value: Any, function: str, operator: str, path: str) -> tuple[Decimal, ...]:
    def read(item: Any, place: str) -> Decimal:
        return Decimal(read_whole(item, place)) if function in WHOLE else read_number(item, place)

    if value is None:
        raise fault(path, "missing_key", f"{operator} needs a value")
    if operator not in {"in", "not_in", "between"}:
        return (read(value, path),)
    if operator == "between" and (not isinstance(value, list) or len(value) != 2):
        raise fault(path, "wrong_type", f"between needs two numbers, the smaller first, not {shown(value)}")
    values = read_list(value, path, read, most=1_000)
    if operator == "between" and values[0] > values[1]:
        raise fault(path, "invalid_value", "between needs the smaller number first")
    return values
