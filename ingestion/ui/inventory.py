"""The inventory of sources as a page: sorted and narrowed by its address."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from cdp.core.ui.shell import show_page, signed_in
from ingestion.queries.inventory import RECENT_DAYS, Entry, list_inventory

# Below this score the inventory offers a look.
POOR = 90
# What is sorted by: the heading, how the value is found, and whether the largest comes first.
ORDERS: dict[str, tuple[str, Callable[[Entry], Any], bool]] = {
    "name": ("Source", lambda one: one.source.name.casefold(), False),
    "owner": ("Owner", lambda one: (not one.source.owner, one.source.owner.casefold()), False),
    "last": ("Last message", lambda one: one.last_seen_at.timestamp() if one.last_seen_at else 0.0, True),
    "score": ("Quality", lambda one: (one.score is None, one.score or 0.0), False),
    "messages": (f"Messages, {RECENT_DAYS} days", lambda one: one.messages, True),
    "fields": ("Events and fields", lambda one: (one.events, one.fields), True),
}
SHOWN: dict[str, tuple[str, Callable[[Entry], bool]]] = {
    "overdue": ("Overdue", lambda one: one.is_overdue),
    "unowned": ("Without an owner", lambda one: not one.source.owner),
    "unplanned": ("Without a plan", lambda one: not one.source.plan_version),
    "poor": (f"Quality below {POOR}", lambda one: one.score is not None and one.score < POOR),
    "silent": (f"Silent for {RECENT_DAYS} days", lambda one: not one.messages),
}
DEFAULT = "name"


@require_safe
def inventory(request: HttpRequest) -> HttpResponse:
    """List the sources; `?q=` and `?show=` narrow, `?sort=` sorts, with a `-` the other way round."""
    signed_in(request, "sources:read")
    entries = list_inventory(now=timezone.now())
    sought, shown, sort = (request.GET.get(name, "") for name in ("q", "show", "sort"))
    rows = [one for one in entries if _matches(one, sought)]
    if shown in SHOWN:
        rows = [one for one in rows if SHOWN[shown][1](one)]
    by = sort.removeprefix("-") if sort.removeprefix("-") in ORDERS else DEFAULT
    _, value, largest_first = ORDERS[by]
    rows.sort(key=value, reverse=largest_first != sort.startswith("-"))
    given = {name: text for name, text in (("q", sought), ("show", shown)) if text}
    return show_page(
        request,
        "ingestion/inventory.html",
        title="Inventory of sources",
        entries=rows,
        total=len(entries),
        sought=sought,
        shown=shown,
        sort=sort,
        choices=[(key, label, sum(map(test, entries))) for key, (label, test) in SHOWN.items()],
        heads=[_head(key, label, by, sort, given) for key, (label, _, _) in ORDERS.items()],
    )


def _matches(one: Entry, sought: str) -> bool:
    texts = (
        one.source.key,
        one.source.name,
        one.source.owner,
        one.source.purpose,
        *one.traits,
        *one.identifiers,
        *one.event_names,
    )
    return any(sought.casefold() in text.casefold() for text in texts)


def _head(key: str, label: str, by: str, sort: str, given: dict[str, str]) -> dict[str, Any]:
    """Return a heading that sorts: once more turns the order round."""
    is_sorted = key == by
    turned = sort.startswith("-")
    largest_first = ORDERS[key][2] != turned
    address = urlencode({**given, "sort": f"-{key}" if is_sorted and not turned else key})
    return {
        "key": key,
        "label": label,
        "address": f"?{address}",
        "order": ("descending" if largest_first else "ascending") if is_sorted else "",
    }
