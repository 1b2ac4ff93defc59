"""What plan and cleaning of a source found, by hour and rule, for a chart and a table."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet, Sum
from django.utils import timezone

from ingestion.models import Finding, Source, TreatmentKind

COLOURS = (
    "--color-primary-500",
    "--color-orange-500",
    "--color-blue-500",
    "--color-green-600",
    "--color-red-600",
)
OTHERS, OTHERS_COLOUR = "other rules", "--color-base-400"
MOST = 100
CLEANING = "clean_"


@dataclass(frozen=True, slots=True)
class Findings:
    """Findings of some hours: for a chart, the sums of each rule, and each place with how often."""

    chart: dict[str, Any]
    totals: list[tuple[str, int, str]]
    places: list[dict[str, Any]]
    hours: int

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing was found."""
        return not self.totals


def read_findings(*, source: Source, kind: TreatmentKind, hours: int, now: datetime) -> Findings:
    """Return what the plan, or the cleaning, found in the last `hours` hours, the current one included.

    The hundred most frequent places are told singly (two statements).
    """
    last = now.replace(minute=0, second=0, microsecond=0)
    step = timedelta(hours=1 if hours <= 7 * 24 else 24)
    marks = [last - step * back for back in range(hours * timedelta(hours=1) // step - 1, -1, -1)]
    rows = _of(source, kind).filter(hour__gte=marks[0])
    counts: Counter[tuple[datetime, str]] = Counter()
    sums: Counter[str] = Counter()
    for row in rows.values("hour", "rule").annotate(total=Sum("count")).order_by("hour", "rule"):
        counts[marks[min((row["hour"] - marks[0]) // step, len(marks) - 1)], row["rule"]] += row["total"]
        sums[row["rule"]] += row["total"]
    series = [
        (rule, [counts[mark, rule] for mark in marks], colour)
        for (rule, _), colour in zip(sums.most_common(len(COLOURS)), COLOURS, strict=False)
    ]
    others = set(sums) - {rule for rule, _, _ in series}
    if others:
        series.append((OTHERS, [sum(counts[mark, rule] for rule in others) for mark in marks], OTHERS_COLOUR))
    names = ("type", "event", "path", "rule", "action")
    places = rows.values(*names).annotate(total=Sum("count")).order_by("-total", *names)[:MOST]
    form = "%a %H:%M" if step < timedelta(days=1) else "%d %b"
    return Findings(
        chart={
            "type": "bar",
            "stacked": True,
            "labels": [timezone.localtime(mark).strftime(form) for mark in marks],
            "series": [{"label": name, "values": values, "colour": colour} for name, values, colour in series],
        },
        totals=[(name, sum(values), colour) for name, values, colour in series],
        places=list(places),
        hours=hours,
    )


def _of(source: Source, kind: TreatmentKind) -> QuerySet[Finding]:
    rows = Finding.objects.filter(source_id=source.pk)
    if kind == TreatmentKind.CLEANING:
        return rows.filter(rule__startswith=CLEANING)
    return rows.exclude(rule__startswith=CLEANING)
