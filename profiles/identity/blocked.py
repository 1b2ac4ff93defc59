"""Values that never are identifiers: what stands for a missing id, and what a pattern keeps out."""

from collections.abc import Callable
from functools import lru_cache

from cdp.core.patterns import Matcher, parse_pattern
from profiles.identity.rules import TypeDefinition

_LONGEST_BLOCKED = 64
_WRAPPING = " \t\r\n\f\v\"'`\u00a0\u200b\ufeff"


def fold_blocked(value: str) -> str:
    """Return the form in which a value is compared with the blocked ones: no case, outer space or quotes."""
    return value.strip(_WRAPPING).lower()


def is_blocked(value: str, blocked: frozenset[str]) -> bool:
    """Tell whether a value stands for a missing id.

    Parameters
    ----------
    value : str
        As given.
    blocked : frozenset of str
        Folded values of the type.
    """
    if not value.strip("0-"):
        return "0" in blocked or value in blocked
    if len(value) > _LONGEST_BLOCKED:
        return not fold_blocked(value)
    folded = fold_blocked(value)
    return folded in blocked or not folded or (not folded.strip("0-") and "0" in blocked)


@lru_cache(maxsize=500)
def matcher_of(pattern: str) -> Matcher:
    """Return what tells whether a value holds the pattern; kept, as it remembers the steps of earlier texts."""
    return Matcher(parse_pattern(pattern))


def blocking(rules: TypeDefinition) -> Callable[[str], bool]:
    """Return what tells whether a value in its normal form is blocked by the rules of its type."""
    blocked = frozenset(map(fold_blocked, rules.blocked_values))
    matchers = [matcher_of(pattern) for pattern in rules.blocked_patterns]
    return lambda value: is_blocked(value, blocked) or any(matcher.matches(value) for matcher in matchers)
