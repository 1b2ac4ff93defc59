"""Whether a segment's purpose covers the traits and events that it uses (`consent.queries.field_tags`)."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import F

from cdp.core.errors import FieldError
from cdp.core.registries import FieldUse
from consent.queries.field_tags import find_uncovered
from segments.errors import FieldNotCovered
from segments.language.parse import parse
from segments.models import Segment, SegmentVersion
from segments.queries.segments import has_match

REFERENCE = "segment:"
MATCH = "match"


def check_coverage(*, key: str, definition: Any, tokens: Iterable[str], purpose: str) -> None:
    """Refuse a definition that uses a field which does not serve its purpose; segments inside it count as well.

    Raises
    ------
    FieldNotCovered
        Naming each condition and the reason. The compliance officer can allow it (`consent.services.field_tags`).
    """
    if not purpose or not has_match(definition):
        return
    used = expand_tokens(tokens, _latest_tokens())
    uncovered = find_uncovered(purpose=purpose, tokens=used, used_by=f"{REFERENCE}{key}")
    if not uncovered:
        return
    faults = {}
    for one in uncovered:
        for path in _paths(definition, one.token):
            faults[path, one.kind, one.name] = FieldError(path, "field_not_covered", one.reason)
    raise FieldNotCovered(list(faults.values()))


def expand_tokens(tokens: Iterable[str], latest: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the tokens with those of the segments that they refer to, however deep."""
    found: set[str] = set()
    waiting = set(tokens)
    while waiting:
        token = waiting.pop()
        if token not in found:
            found.add(token)
            waiting |= latest.get(token.removeprefix(REFERENCE), frozenset()) if token.startswith(REFERENCE) else set()
    return frozenset(found)


def read_field_uses() -> list[FieldUse]:
    """Return which fields the segments with a purpose use, archived ones aside (`registries.field_uses`)."""
    latest = _latest_tokens()
    rows = Segment.objects.exclude(purpose="").exclude(status=Segment.Status.ARCHIVED)
    return [
        FieldUse(
            used_by=f"{REFERENCE}{key}",
            title=name,
            purpose=purpose,
            tokens=expand_tokens(latest.get(key, frozenset()), latest),
        )
        for key, name, purpose in rows.order_by("key").values_list("key", "name", "purpose")
    ]


def _latest_tokens() -> dict[str, frozenset[str]]:
    rows = SegmentVersion.objects.filter(version=F("segment__version"))
    return {key: frozenset(tokens) for key, tokens in rows.values_list("segment__key", "tokens")}


def _paths(definition: Any, token: str) -> list[str]:
    """Return where in the definition a token is used; of one inside another segment, where that is referred to."""
    nodes = [node for node in parse(definition).match.walk() if not node.children]
    own = [node.path for node in nodes if token in node.tokens()]
    inside = [node.path for node in nodes if any(name.startswith(REFERENCE) for name in node.tokens())]
    return own or inside or [MATCH]
