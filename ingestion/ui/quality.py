"""The quality of a source as pages: scores over time, fields, the messages behind a number, rules for fields."""

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.access import Principal, show
from cdp.core.queries.rights import rows_within_rights
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import show_page
from ingestion.models import QualityState, Source
from ingestion.queries.field_rules import list_rules
from ingestion.queries.offending import Offender, find_offending, read_wanted
from ingestion.queries.quality import HOUR, FieldQuality, Period, Report, read_reports
from ingestion.queries.sources import get_source, read_source_keys
from ingestion.queries.traffic import list_sources
from ingestion.services.field_rules import NewFieldRule, delete_field_rule, save_field_rule
from ingestion.services.measuring import start_measuring
from ingestion.treatment.plans import PLANNED
from ingestion.ui.explaining_quality import TITLES, explain
from ingestion.ui.opening import open_source

WINDOWS = {"1": "24 hours", "7": "7 days", "30": "30 days", "90": "90 days"}
DEFAULT_DAYS = "7"
MOST_FIELDS = 200
COLOURS = {
    "score": "--ink",
    "completeness": "--color-blue-500",
    "validity": "--color-green-600",
    "conformity": "--color-primary-500",
    "timeliness": "--color-orange-500",
    "uniqueness": "--color-base-400",
    "consistency": "--color-red-600",
}
INPUT = {"class": "input"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A share in the table of fields, with the address of the messages behind it; ``""`` where there are none."""

    value: float | None
    address: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One field in the table."""

    name: str
    field: FieldQuality
    is_first: bool
    cells: list[Cell]


@require_safe
def quality(request: HttpRequest, key: str) -> HttpResponse:
    """Show the quality of a source; `?days=` says how far back, `?of=` narrows the fields to one event."""
    _, source = open_source(request, key)
    period, days = _period(request)
    (report,) = read_reports(sources=[source], period=period, keys=read_source_keys())
    names = {_name(one.type, one.event) for one in report.fields}
    wanted = request.GET.get("of", "")
    shown = [one for one in report.fields if not wanted or _name(one.type, one.event) == wanted]
    state = QualityState.objects.first()
    return show_page(
        request,
        "ingestion/quality.html",
        title=f"Quality: {source.name}",
        source=source,
        report=report,
        windows=WINDOWS,
        days=days,
        aspects=explain(report, lambda dimension, **place: _address(source, days, dimension, **place)),
        chart=_chart(report, period.step),
        legend=[("Score", report.score, COLOURS["score"])]
        + [
            (TITLES[name], value, COLOURS[name])
            for name, value in asdict(report.dimensions).items()
            if value is not None
        ],
        rows=_rows(source, report, shown[:MOST_FIELDS], days),
        events=[
            (one, _address(source, days, "timeliness", type=one.type, event=one.event) if one.late else "")
            for one in report.events[:MOST_FIELDS]
        ],
        fields_shown=min(len(shown), MOST_FIELDS),
        fields_found=len(shown),
        names=sorted(names),
        wanted=wanted,
        measured_at=state.measured_at if state else None,
    )


@require_POST
def measure(request: HttpRequest, key: str) -> HttpResponse:
    """Start measuring at once what came since the last time."""
    _, source = open_source(request, key, "sources:write")
    if start_measuring(now=timezone.now()) is None:
        messages.info(request, "Nothing new has come since the last time, or measuring is under way.")
    else:
        messages.success(request, "Measuring has begun. Load the page again in a few seconds.")
    return redirect("quality", source.key)


@require_safe
def offending(request: HttpRequest, key: str) -> HttpResponse:
    """List the messages behind a number."""
    principal, source = open_source(request, key, "sources:read")
    period, days = _period(request)
    wanted = read_wanted(request.GET, period)
    keys = read_source_keys()
    found = find_offending(source=source, wanted=wanted, keys=keys)
    if principal.sees_personal_data and found.rows:
        note_read(actor=principal.actor, object=f"source:{source.key}")
    return show_page(
        request,
        "ingestion/quality_messages.html",
        title=f"{TITLES[wanted.dimension]}: {source.name}",
        source=source,
        wanted=wanted,
        of=_name(wanted.type, wanted.event) if wanted.type else "",
        found=found,
        rows=[_masked(one, principal) for one in found.rows],
        days=days,
        windows=[
            (value, label, f"?{urlencode({**request.GET.dict(), 'days': value})}") for value, label in WINDOWS.items()
        ],
    )


class FieldRuleForm(forms.Form):
    """A rule for a field."""

    event = forms.CharField(max_length=100, help_text="Name of a track, or identify, group, page, screen.")
    field = forms.CharField(max_length=100, help_text="A property of it, or a trait of identify and group.")
    required = forms.BooleanField(required=False, label="Every such message should have it")
    minimum = forms.FloatField(required=False, label="Smallest value")
    maximum = forms.FloatField(required=False, label="Greatest value")
    allowed = forms.CharField(
        required=False,
        label="Allowed values",
        help_text="One a line.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    known_source = forms.ChoiceField(
        required=False,
        label="Reference: source",
        help_text="Its values must have been seen before in what this source sends.",
    )
    known_event = forms.CharField(max_length=100, required=False, label="Reference: event")
    known_field = forms.CharField(max_length=100, required=False, label="Reference: field")

    def __init__(self, *args: Any, keys: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "No reference"), *((key, key) for key in keys)]
        self.fields["known_source"].choices = choices  # type: ignore[attr-defined]
        for one in self.fields.values():
            if not isinstance(one, forms.BooleanField):
                one.widget.attrs.update(INPUT)

    def clean(self) -> dict[str, Any]:
        """Say beside the fields what the service would refuse."""
        given: dict[str, Any] = super().clean() or {}
        least, most = given.get("minimum"), given.get("maximum")
        if least is not None and most is not None and least > most:
            self.add_error("maximum", "The greatest value is below the smallest one.")
        asks = (given.get("required"), least is not None, most is not None, given.get("allowed"))
        if given.get("known_source"):
            for name in ("known_event", "known_field"):
                if not given.get(name):
                    self.add_error(name, "Name it, or choose no reference.")
        elif not any(asks) and not self.errors:
            self.add_error(None, "Ask something: that it comes, its bounds, its values, or where they come from.")
        return given


@require_http_methods(["GET", "HEAD", "POST"])
def rules(request: HttpRequest, key: str) -> HttpResponse:
    """List the rules for fields, and save one."""
    writes = request.method == "POST"
    principal, source = open_source(request, key, "sources:write" if writes else "sources:read")
    initial = {"event": request.GET.get("event", ""), "field": request.GET.get("field", "")}
    form = FieldRuleForm(request.POST if writes else None, initial=initial, keys=_known_sources(principal))
    if writes and form.is_valid():
        save_field_rule(source=source, new=_new_rule(form.cleaned_data), actor=principal.actor, now=timezone.now())
        messages.success(request, "The rule is saved. Messages are held against it from the next measuring on.")
        return redirect("quality_rules", source.key)
    return show_page(
        request,
        "ingestion/quality_rules.html",
        title=f"Rules for fields: {source.name}",
        source=source,
        rules=[
            (one, _name(one.type, one.event)) for one in list_rules(source=source).order_by("type", "event", "field")
        ],
        form=form,
        status=422 if writes else 200,
    )


@require_POST
def remove_rule(request: HttpRequest, key: str, rule_id: int) -> HttpResponse:
    """Take a rule away."""
    principal, source = open_source(request, key, "sources:write")
    delete_field_rule(source=source, rule_id=rule_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The rule is gone. What was counted with it stays.")
    return redirect("quality_rules", source.key)


def _known_sources(principal: Principal) -> list[str]:
    """Return the sources whose values somebody may compare with."""
    rows = rows_within_rights(list_sources(), principal=principal, scope="sources:read")
    return sorted(rows.values_list("key", flat=True))


def _new_rule(given: dict[str, Any]) -> NewFieldRule:
    kind, event = _place(given["event"])
    new = NewFieldRule(
        type=kind,
        event=event,
        field=given["field"],
        required=given["required"],
        minimum=given["minimum"],
        maximum=given["maximum"],
        allowed=[line for line in given["allowed"].splitlines() if line.strip()],
    )
    if not given["known_source"]:
        return new
    known_type, known_event = _place(given["known_event"])
    return replace(
        new,
        known_in=get_source(key=given["known_source"]),
        known_type=known_type,
        known_event=known_event,
        known_field=given["known_field"],
    )


def _place(text: str) -> tuple[str, str]:
    """Return type and event of what a person calls an event: the name of a track, or another type."""
    return (text, "") if text in PLANNED and text != "track" else ("track", text)


def _name(kind: str, event: str) -> str:
    return event if kind == "track" else kind


def _period(request: HttpRequest) -> tuple[Period, str]:
    days = request.GET.get("days", "")
    days = days if days in WINDOWS else DEFAULT_DAYS
    now = timezone.now()
    length = timedelta(days=int(days))
    # A period of days begins with a whole one.
    since = now - length if days == "1" else now - length + timedelta(days=1)
    return Period.covering(since=since, until=now, now=now), days


def _address(source: Source, days: str, dimension: str, **place: str) -> str:
    query = {"dimension": dimension, **{name: value for name, value in place.items() if value}, "days": days}
    return f"{reverse('quality_messages', args=[source.key])}?{urlencode(query)}"


def _chart(report: Report, step: str) -> dict[str, Any]:
    form = "%a %H:%M" if step == HOUR else "%d %b"
    values: dict[str, list[float | None]] = {"score": [_rounded(score) for _, _, score in report.series]}
    for name in TITLES:
        values[name] = [_rounded(getattr(dimensions, name)) for _, dimensions, _ in report.series]
    shown = [value for line in values.values() for value in line if value is not None]
    return {
        "type": "line",
        "points": True,
        # Between 90 and 100 is where it matters: the axis begins below the lowest.
        "min": max(0, int(min(shown, default=0) // 10 - 1) * 10),
        "max": 100,
        "labels": [at.strftime(form) for at, _, _ in report.series],
        "series": [
            {"label": TITLES.get(name, "Score"), "values": line, "colour": COLOURS[name]}
            for name, line in values.items()
            if any(value is not None for value in line)
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _rows(source: Source, report: Report, fields: list[FieldQuality], days: str) -> list[Row]:
    order = {(one.type, one.event): place for place, one in enumerate(report.events)}
    fields = sorted(
        fields,
        key=lambda one: (
            order.get((one.type, one.event), len(order)),
            one.type,
            one.event,
            101.0 if one.score is None else one.score,
            one.field,
        ),
    )
    found = []
    before = None
    for one in fields:
        place = (one.type, one.event)
        found.append(
            Row(_name(*place), one, place != before, [_cell(source, one, name, days) for name in FIELD_SHARES])
        )
        before = place
    return found


FIELD_SHARES = ("completeness", "validity", "conformity", "consistency")


def _cell(source: Source, one: FieldQuality, name: str, days: str) -> Cell:
    value: float | None = getattr(one.dimensions, name)
    # Names that were values are kept together as one, and cannot be looked for.
    if value is None or value >= 100 or "*" in {one.event, one.field}:
        return Cell(value)
    return Cell(value, _address(source, days, name, type=one.type, event=one.event, field=one.field))


def _masked(one: Offender, principal: Principal) -> Offender:
    return replace(one, value=show(principal, one.value), other_value=show(principal, one.other_value))
