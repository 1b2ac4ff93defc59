"""The list of segments: finding one again by words, tag, status or owner."""

from dataclasses import dataclass

from django.db.models import Func, Q, QuerySet

from cdp.core.access import Principal
from segments.models import Segment
from segments.queries.rights import visible_segments


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for; an empty member does not narrow. Without a status, archived ones are left out."""

    text: str = ""
    tag: str = ""
    status: str = ""
    mine: bool = False


def search_segments(*, wanted: Wanted, principal: Principal) -> QuerySet[Segment]:
    """Return the segments that somebody may see and looks for; the caller orders them.

    Every word of the text has to be in the name, in the key or in a tag, whatever its case.
    """
    rows = visible_segments(principal=principal).select_related("owner")
    rows = rows.filter(status=wanted.status) if wanted.status else rows.exclude(status=Segment.Status.ARCHIVED)
    if wanted.mine:
        rows = rows.filter(owner_id=principal.user_id)
    return narrow_segments(rows, tag=wanted.tag, text=wanted.text)


def narrow_segments(rows: QuerySet[Segment], *, tag: str, text: str) -> QuerySet[Segment]:
    """Return those of the segments that have a tag, and every word in their name, key or tags."""
    if tag:
        rows = rows.filter(tags__contains=[tag.replace("\0", "")])
    for word in text.replace("\0", "").split()[:10]:
        rows = rows.filter(Q(name__icontains=word) | Q(key__icontains=word) | Q(tags__icontains=word.lower()))
    return rows


def list_tags(*, principal: Principal) -> list[str]:
    """Return the tags in use on segments that somebody may see, in order."""
    rows = visible_segments(principal=principal).exclude(status=Segment.Status.ARCHIVED)
    found = rows.annotate(tag=Func("tags", function="unnest")).values_list("tag", flat=True)
    return sorted(set(found))
