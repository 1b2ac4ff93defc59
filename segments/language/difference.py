"""What changed between two definitions, place by place."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from segments.language.reading import join


@dataclass(frozen=True, slots=True)
class Difference:
    """One change: `added`, `removed` or `changed`, with its place: in the later definition, or of what is gone."""

    path: str
    kind: str
    before: Any
    after: Any


def differences(before: Any, after: Any) -> list[Difference]:
    """Return the changes from one definition to another, in the order of the later one.

    Parameters
    ----------
    before, after : JSON value
        Definitions as stored. Rows of a group are recognised by what they say, wherever they moved to; a row that was
        put in the place of another counts as changed, key by key where both are of one type.
    """
    return list(_compare("", before, after))


def _compare(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict) and before.get("type") == after.get("type"):
        for key in [*after, *(key for key in before if key not in after)]:
            place = join(path, key)
            if key not in before:
                yield Difference(place, "added", None, after[key])
            elif key not in after:
                yield Difference(place, "removed", before[key], None)
            else:
                yield from _compare(place, before[key], after[key])
    elif _is_rows(before) and _is_rows(after):
        yield from _compare_rows(path, before, after)
    else:
        yield Difference(path, "changed", before, after)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _compare_rows(path: str, before: list[Any], after: list[Any]) -> Iterator[Difference]:
    earlier, later = ([json.dumps(row, sort_keys=True) for row in rows] for rows in (before, after))
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, earlier, later, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        paired = min(i2 - i1, j2 - j1)
        for step in range(paired):
            yield from _compare(f"{path}[{j1 + step}]", before[i1 + step], after[j1 + step])
        for place in range(j1 + paired, j2):
            yield Difference(f"{path}[{place}]", "added", None, after[place])
        for place in range(i1 + paired, i2):
            yield Difference(f"{path}[{place}]", "removed", before[place], None)
