"""Who may open a single segment: by scope, or by a right on that very one."""

from django.http import HttpRequest

from cdp.core.access import Principal, need
from cdp.core.api.permissions import has_object_right
from cdp.core.ui.shell import signed_in
from segments.models import Segment
from segments.queries.segments import find_segment, get_segment

METHODS = {"segments:read": "GET", "segments:write": "PATCH"}


def open_segment(request: HttpRequest, key: str, scope: str = "segments:read") -> tuple[Principal, Segment]:
    """Return who looks and the segment.

    Raises
    ------
    MissingScope
        If they lack the scope, and a right on this segment; one that does not exist gives no right.
    NoSuchSegment
        If it does not exist.
    """
    principal = signed_in(request)
    if principal.may(scope):
        return principal, get_segment(key=key)
    row = find_segment(key=key)
    if row is None or not has_object_right(principal, obj=row, method=METHODS[scope]):
        need(principal, scope)
    return principal, get_segment(key=key)


def may_change(principal: Principal, row: Segment) -> bool:
    """Tell whether somebody may change a segment."""
    return principal.may("segments:write") or has_object_right(principal, obj=row, method="PATCH")
