"""Sources: what sends, with which key, and what became of it."""

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from cdp.core.queries.rights import rows_within_rights
from cdp.core.ui.shell import show_page, signed_in
from ingestion.collecting.snippet import is_installed
from ingestion.models import Outcome, Source
from ingestion.queries.alerts import list_open_alerts, present_alerts
from ingestion.queries.traffic import count_outcomes_by_source, list_sources, read_traffic
from ingestion.queries.write_keys import read_write_key
from ingestion.services.sources import SourceSettings, change_source, create_source
from ingestion.ui.connecting import list_examples
from ingestion.ui.forms import KILO, ChangeForm, SourceForm
from ingestion.ui.opening import open_source

OUTCOMES = [outcome.label for outcome in Outcome]


@require_safe
def sources(request: HttpRequest) -> HttpResponse:
    """List the sources with what became of their messages."""
    principal = signed_in(request)
    rows = list(rows_within_rights(list_sources(), principal=principal, scope="sources:read").order_by("key", "id"))
    if not rows:
        # Whoever was given none learns which right is missing.
        signed_in(request, "sources:read")
    counts = count_outcomes_by_source()
    return show_page(
        request,
        "ingestion/sources.html",
        title="Sources",
        outcomes=OUTCOMES,
        sources=[(one, _row(counts.get(one.pk))) for one in rows],
        unattributed=sum(counts.get(None, {}).values()) if principal.may("sources:read") else 0,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """Make a source."""
    principal = signed_in(request, "sources:write")
    form = SourceForm(request.POST or None)
    if form.is_valid():
        given = form.cleaned_data
        made = create_source(
            key=given["key"],
            kind=given["kind"],
            settings=_settings(given, enabled=True),
            actor=principal.actor,
            now=timezone.now(),
        )
        messages.success(request, f"The source {made.key} is ready to receive.")
        return redirect("source", made.key)
    return show_page(
        request, "ingestion/create_source.html", title="New source", form=form, status=422 if form.is_bound else 200
    )


@require_http_methods(["GET", "HEAD", "POST"])
def source(request: HttpRequest, key: str) -> HttpResponse:
    """Show a source: its key, how to send, what came; and change its settings."""
    writes = request.method == "POST"
    principal, row = open_source(request, key, "sources:write" if writes else "sources:read")
    now = timezone.now()
    form = ChangeForm(request.POST if writes else None, initial=_initial(row))
    if writes and form.is_valid():
        given = form.cleaned_data
        changes = asdict(_settings(given, enabled=given["enabled"]))
        change_source(key=key, changes=changes, actor=principal.actor, now=now)
        messages.success(request, "Saved.")
        return redirect("source", key)
    write_key = read_write_key(row) if principal.may("sources:write") else ""
    return show_page(
        request,
        "ingestion/source.html",
        title=row.name,
        source=row,
        write_key=write_key,
        examples=list_examples(source=row, write_key=write_key, base_url=settings.CDP_BASE_URL),
        lacks_script=row.kind == Source.Kind.BROWSER and not is_installed(),
        form=form,
        counts=_row(count_outcomes_by_source().get(row.pk)),
        traffic=read_traffic(hours=48, now=now, source_id=row.pk),
        alerts=present_alerts(list_open_alerts(source_id=row.pk), now=now),
        status=422 if writes else 200,
    )


def _row(counts: dict[str, int] | None) -> list[tuple[str, int]]:
    return [(label, (counts or {}).get(label, 0)) for label in OUTCOMES]


def _initial(row: Source) -> dict[str, Any]:
    return {
        "name": row.name,
        "required_purpose": row.required_purpose,
        "hold_days": row.hold_days,
        "ip_storage": row.ip_storage,
        "max_event_kilobytes": row.max_event_bytes // KILO,
        "enabled": row.enabled,
        "owner": row.owner,
        "purpose": row.purpose,
        "expected_every_minutes": row.expected_every_minutes,
    }


def _settings(given: dict[str, Any], *, enabled: bool) -> SourceSettings:
    return SourceSettings(
        name=given["name"],
        required_purpose=given["required_purpose"],
        hold_days=given["hold_days"],
        ip_storage=given["ip_storage"] or Source.IpStorage.TRUNCATED,
        max_event_bytes=given["max_event_kilobytes"] * KILO,
        enabled=enabled,
        owner=given["owner"],
        purpose=given["purpose"],
        expected_every_minutes=given["expected_every_minutes"],
    )
