"""Who may open a single segment: by scope, or by a right on that very one."""

from django.http import HttpRequest

from cdp.core.access import Principal
from cdp.core.api.permissions import CHANGE, has_object_right
from cdp.core.ui.shell import open_one
from segments.models import Segment
from segments.queries.segments import get_segment


def open_segment(request: HttpRequest, key: str, scope: str = "segments:read") -> tuple[Principal, Segment]:
    """Return who looks and the segment.

    Raises
    ------
    MissingScope
        If they lack the scope, and a right on this segment; one that does not exist gives no right.
    NoSuchSegment
        If it does not exist.
    """
    return open_one(request, lambda: get_segment(key=key), scope)


def may_change(principal: Principal, row: Segment) -> bool:
    """Tell whether somebody may change a segment."""
    return principal.may("segments:write") or has_object_right(principal, obj=row, right=CHANGE)
