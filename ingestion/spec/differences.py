"""What differs between two JSON values, place by place."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class _Absent:
    """Stands where there is nothing, which is not null."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place: `before` or `after` is `ABSENT` where a value came or went."""

    path: str
    before: Any
    after: Any

    @property
    def kind(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        if self.before is ABSENT:
            return "added"
        return "removed" if self.after is ABSENT else "changed"


def find_differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Yield the places in which two values differ, in the order of `before`, then what was added.

    Parameters
    ----------
    path : str
        Where the values stand; members are joined by dots, elements of lists by their number.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            yield from find_differences(value, after.get(name, ABSENT), _under(path, name))
        for name, value in after.items():
            if name not in before:
                yield Difference(_under(path, name), ABSENT, value)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from find_differences(one, other, _under(path, str(place)))
    elif not is_same(before, after):
        yield Difference(path, before, after)


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are the same: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
