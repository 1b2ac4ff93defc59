"""Paths into a message: `properties.products[].price` is the price of each product."""

from collections.abc import Iterator
from typing import Any

EACH = None
"""The part of a path that stands for every element of a list."""

MAX_PARTS = 12
MAX_CHARACTERS = 300

Part = str | None
Path = tuple[Part, ...]
Place = tuple[Any, Any]
"""A container (object or list) and the key or index in it."""


class PathFault(ValueError):
    """The text is no path; the message says why."""


def parse_path(text: str) -> Path:  # noqa: PLR0912 - one pass over the characters
    r"""Read a path.

    Parameters
    ----------
    text : str
        Names with dots between them, ``[]`` after a name for each element of its list. A dot or bracket that belongs
        to a name is written with a backslash before it.

    Raises
    ------
    PathFault
        If it is none.
    """
    if not text or len(text) > MAX_CHARACTERS:
        message = f"A path has 1 to {MAX_CHARACTERS} characters, such as properties.price."
        raise PathFault(message)
    parts: list[Part] = []
    name = ""
    closed = False
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\" and position + 1 < len(text):
            name += text[position + 1]
            position += 2
            closed = False
            continue
        if text.startswith("[]", position) and (name or closed):
            if name:
                parts.append(name)
                name = ""
            parts.append(EACH)
            closed = True
            position += 2
            continue
        if char in "[]":
            message = f"{text!r}: write [] after the name of a list, or \\[ for a bracket in a name."
            raise PathFault(message)
        if char == ".":
            if not name and not closed:
                message = f"{text!r} has a name that is empty."
                raise PathFault(message)
            if name:
                parts.append(name)
            name, closed = "", False
        else:
            if closed:
                message = f"{text!r}: a dot is missing after []."
                raise PathFault(message)
            name += char
        position += 1
    if name:
        parts.append(name)
    elif not closed:
        message = f"{text!r} ends in a dot."
        raise PathFault(message)
    if len(parts) > MAX_PARTS:
        message = f"A path has at most {MAX_PARTS} parts."
        raise PathFault(message)
    return tuple(parts)


def write_path(parts: tuple[Any, ...]) -> str:
    """Write a path; indexes of lists become ``[]``."""
    text = ""
    for part in parts:
        if part is EACH or isinstance(part, int):
            text += "[]"
        else:
            name = str(part).replace("\\", "\\\\").replace(".", "\\.").replace("[", "\\[").replace("]", "\\]")
            text += f".{name}" if text else name
    return text


def exact_path(parts: tuple[Any, ...]) -> str:
    """Write a path with the indexes of lists."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def places(root: dict[str, Any], path: Path) -> Iterator[Place]:
    """Yield each container and key that exist at a path."""
    yield from _places(root, path, 0)


def _places(value: Any, path: Path, at: int) -> Iterator[Place]:
    part = path[at]
    last = at == len(path) - 1
    if part is EACH:
        if value.__class__ is list:
            for index in range(len(value)):
                if last:
                    yield value, index
                else:
                    yield from _places(value[index], path, at + 1)
    elif value.__class__ is dict and part in value:
        if last:
            yield value, part
        else:
            yield from _places(value[part], path, at + 1)


def read(root: dict[str, Any], path: Path) -> Any:
    """Return the value at a path without ``[]``; None where there is none."""
    value: Any = root
    for part in path:
        if value.__class__ is not dict:
            return None
        value = value.get(part)
    return value


def write(root: dict[str, Any], path: Path, value: Any) -> bool:
    """Put a value at a path without ``[]``, making objects on the way.

    Returns
    -------
    bool
        False, and nothing changed, where something that is no object is in the way.
    """
    container: Any = root
    for part in path[:-1]:
        inner = container.get(part)
        if inner is None:
            inner = container[part] = {}
        elif inner.__class__ is not dict:
            return False
        container = inner
    container[path[-1]] = value
    return True
