"""Collecting what is wrong with a definition, so that all of it is said at once."""

from typing import Any

from cdp.core.errors import FieldError
from ingestion.errors import InvalidTreatment

MAX_FAULTS = 50


class Faults:
    """Faults of one definition, each with its path."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.found: list[FieldError] = []

    def add(self, path: str, message: str) -> None:
        """Note a fault."""
        if len(self.found) < MAX_FAULTS:
            self.found.append(FieldError(path=path, code=self.code, message=message))

    def end(self) -> None:
        """Raise what was found.

        Raises
        ------
        InvalidTreatment
            If there is any fault.
        """
        if self.found:
            raise InvalidTreatment(self.found)


def members(given: Any, path: str, allowed: dict[str, type | tuple[type, ...]], faults: Faults) -> dict[str, Any]:
    """Return the members of an object whose kind is right; the others, and names that are unknown, are faults.

    Parameters
    ----------
    given : object
        What should be an object.
    path : str
        Where it stands.
    allowed : dict
        Names → kinds of value.
    """
    if not isinstance(given, dict):
        faults.add(path, "This must be an object.")
        return {}
    good: dict[str, Any] = {}
    for name, value in given.items():
        kinds = allowed.get(name)
        if kinds is None:
            faults.add(_join(path, name), f"There is no such member. Members: {', '.join(allowed)}.")
        elif not isinstance(value, kinds) or (isinstance(value, bool) and not _takes_bool(kinds)):
            faults.add(_join(path, name), f"This must be {_name(kinds)}.")
        else:
            good[name] = value
    return good


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _takes_bool(kinds: type | tuple[type, ...]) -> bool:
    return kinds in (bool, object) or (isinstance(kinds, tuple) and (bool in kinds or object in kinds))


NAMES = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def _name(kinds: type | tuple[type, ...]) -> str:
    several = kinds if isinstance(kinds, tuple) else (kinds,)
    return " or ".join(NAMES.get(kind, "null") for kind in several)
