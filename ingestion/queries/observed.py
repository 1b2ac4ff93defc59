"""What was seen of a source's messages: events and properties, and what plan and cleaning found."""

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet, Sum

from ingestion.models import Discovered, Finding, Source, TreatmentKind
from ingestion.queries.treatments import find_version
from ingestion.treatment.plans import compile_plan

MOST = 1_000


def list_discovered(*, source: Source, event: str | None = None, unplanned: bool = False) -> QuerySet[Discovered]:
    """Return what a source was seen to send; the caller orders it.

    Parameters
    ----------
    event : str or None
        Name of a track: only this one and its properties.
    unplanned : bool
        Only events that the plan in force does not have, and properties of which its rules say nothing. Everything is
        unplanned where there is no plan.
    """
    rows = Discovered.objects.filter(source_id=source.pk)
    if event is not None:
        rows = rows.filter(type="track", event=event.replace("\0", ""))
    row = find_version(source=source, kind=TreatmentKind.PLAN) if unplanned else None
    if row is None:
        return rows
    plan = compile_plan(row.definition)
    planned: list[int] = []
    for one in rows.only("id", "type", "event", "property"):
        rule = plan.rules.get((one.type, one.event))
        top = one.property.partition(".")[0].removesuffix("[]")
        if rule is not None and (not top or rule.payload is None or rule.plans(top)):
            planned.append(one.pk)
    return rows.filter(~Q(pk__in=planned))


def count_findings_of(*, source: Source, since: datetime | None, by_hour: bool = False) -> list[dict[str, Any]]:
    """Return sums of findings per event, path, rule and action, and per hour if asked for; at most 1 000."""
    rows = Finding.objects.filter(source_id=source.pk)
    if since is not None:
        rows = rows.filter(hour__gte=since.replace(minute=0, second=0, microsecond=0))
    names = ("type", "event", "path", "rule", "action")
    if by_hour:
        summed = rows.values("hour", *names).annotate(total=Sum("count")).order_by("-hour", "-total", *names)
    else:
        summed = rows.values(*names).annotate(total=Sum("count")).order_by("-total", *names)
    return [{**{name: row[name] for name in row if name != "total"}, "count": row["total"]} for row in summed[:MOST]]
