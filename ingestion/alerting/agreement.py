"""Whether two sources say the same of a person."""

import unicodedata
from typing import Any

SAME = "same"
FORM = "form"
DIFFERENT = "different"
ONLY_A = "only_a"
ONLY_B = "only_b"
STATES = (SAME, FORM, DIFFERENT, ONLY_A, ONLY_B)


def compare_values(a: Any, b: Any) -> str:
    """Return how two values of one field relate.

    Parameters
    ----------
    a, b : object
        JSON values as the sources stated them last; None: that source states none.

    Returns
    -------
    str
        ``same``; ``form`` if they differ only in letter case, spaces, Unicode form, or in being a text or a number;
        ``different``; ``only_a``, ``only_b``; ``same`` also if neither states anything.
    """
    if a is None or b is None:
        return SAME if a is b else ONLY_B if a is None else ONLY_A
    if _equal(a, b):
        return SAME
    return FORM if _form(a) == _form(b) else DIFFERENT


def _equal(a: Any, b: Any) -> bool:
    """Compare as JSON does: true is not 1, but 1 is 1.0."""
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_equal(*pair) for pair in zip(a, b, strict=True))
    return bool(a == b)


def _form(value: Any) -> Any:
    """Return what is left of a value when case, spaces and type do not count."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return {name: _form(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_form(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = unicodedata.normalize("NFKC", str(value)).casefold()
    return " ".join(unicodedata.normalize("NFKC", text).split())
