"""Pages of destinations and their deliveries."""

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.access import Principal
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.rights import rows_within_rights
from cdp.core.reauthentication import recently_authenticated
from cdp.core.ui.shell import open_one, read_list, show_page, show_part, signed_in
from segments.queries.destinations import get_destination, list_destinations, list_records, read_going, read_state
from segments.sending import retrying
from segments.sending_models import DeliveryRecord, Destination
from segments.services.sending.destinations import (
    NewDestination,
    change_destination,
    create_destination,
    delete_destination,
    rotate_secret,
    sync_fully,
    try_destination,
)
from segments.services.sending.settling import replay_dead
from segments.ui.sending_forms import DestinationForm, write_column_lines

READ = ["GET", "HEAD", "POST"]
KINDS = ("entered", "left", "member")


def _open(
    request: HttpRequest, key: str, scope: str = "segments:read", *, deletes: bool = False
) -> tuple[Principal, Destination]:
    return open_one(request, lambda: get_destination(key=key), scope, deletes=deletes)


@require_safe
def destinations(request: HttpRequest) -> HttpResponse:
    """List destinations by name."""
    principal = signed_in(request)
    rows_seen = rows_within_rights(list_destinations(), principal=principal, scope="segments:read")
    if not principal.may("segments:read") and not rows_seen.exists():
        # Whoever was given none learns which right is missing.
        signed_in(request, "segments:read")
    page = read_list(request, fetch=fetch_from(rows_seen, "name", "pk"), key=key_from("name", "pk"))
    now = timezone.now()
    going = read_going(destinations=page.rows, today=now.date())
    rows = [{"row": row, "going": going[row.pk], "state": read_state(row, now=now)} for row in page.rows]
    return show_page(request, "segments/destinations.html", title="Destinations", page=page, destinations=rows)


@require_http_methods(READ)
@recently_authenticated
def create(request: HttpRequest) -> HttpResponse:
    """Set a destination up."""
    principal = signed_in(request, "segments:write")
    form = DestinationForm(request.POST or None, is_new=True)
    if form.is_valid():
        given = form.cleaned_data
        new = NewDestination(
            key=given["key"],
            name=given["name"],
            segment=given["segment"],
            kind=given["kind"],
            request=form.template(),
            removal=given["removal"],
            **_common(given),
        )
        made, secret = create_destination(new=new, principal=principal, now=timezone.now())
        return show_page(request, "segments/destination_made.html", title=made.name, destination=made, secret=secret)
    return show_page(
        request,
        "segments/destination_form.html",
        title="New destination",
        form=form,
        hidden=not principal.sees_personal_data,
        status=422 if form.is_bound else 200,
    )


@require_http_methods(READ)
@recently_authenticated
def change(request: HttpRequest, key: str) -> HttpResponse:
    """Change a destination."""
    principal, row = _open(request, key, "segments:write")
    form = DestinationForm(request.POST or None, initial=_initial(row), is_new=False)
    if form.is_valid():
        given = form.cleaned_data
        fields = {"name": given["name"], "request": form.template(), "removal": given["removal"], **_common(given)}
        fields = {name: value for name, value in fields.items() if name not in {"purpose", "channel"} or value}
        change_destination(key=key, fields=fields, principal=principal, now=timezone.now())
        messages.success(request, "Saved.")
        return redirect("destination", key)
    return show_page(
        request,
        "segments/destination_form.html",
        title=f"Change {row.name}",
        form=form,
        destination=row,
        hidden=not principal.sees_personal_data,
        status=422 if form.is_bound else 200,
    )


@require_safe
def destination(request: HttpRequest, key: str) -> HttpResponse:
    """Show how a destination goes, and its log."""
    _, row = _open(request, key)
    asked = {name: request.GET.get(name, "") for name in ("outcome", "kind", "reason")}
    page = read_list(request, fetch=fetch_from(list_records(destination=row, **asked), "-pk"), key=key_from("pk"))
    return show_page(
        request,
        "segments/destination.html",
        title=row.name,
        page=page,
        asked=asked,
        outcomes=DeliveryRecord.Outcome.values,
        kinds=KINDS,
        **_going(row),
    )


@require_safe
def state(request: HttpRequest, key: str) -> HttpResponse:
    """Answer the numbers alone."""
    _, row = _open(request, key)
    return show_part(request, "segments/destination_state.html", **_going(row))


@require_POST
def act(request: HttpRequest, key: str, act: str) -> HttpResponse:
    """Send a test, sync, replay, pause, resume, or delete."""
    principal, row = _open(request, key, "segments:write", deletes=act == "delete")
    now = timezone.now()
    if act == "delete":
        delete_destination(key=key, actor=principal.actor, now=now)
        messages.success(request, "The destination is deleted.")
        return redirect("destinations")
    if act == "rotate":
        secret = rotate_secret(key=key, actor=principal.actor, now=now)
        return show_page(request, "segments/destination_made.html", title=row.name, destination=row, secret=secret)
    if act == "test":
        _say(request, try_destination(key=key, actor=principal.actor, now=now))
    elif act == "sync":
        count = sync_fully(key=key, actor=principal.actor, now=now)
        messages.success(request, f"{count} people are looked at and sent again.")
    elif act == "replay":
        count = replay_dead(destination=row, actor=principal.actor, now=now)
        messages.success(request, f"{count} deliveries are tried again.")
    else:
        change_destination(key=key, fields={"enabled": act == "resume"}, principal=principal, now=now)
        messages.success(request, "It goes on." if act == "resume" else "Paused. What waits is kept.")
    return redirect("destination", key)


def _say(request: HttpRequest, outcome: retrying.Outcome) -> None:
    if outcome.state == retrying.SENT:
        messages.success(request, f"The receiver took the test: {outcome.status}, {outcome.took_ms} ms.")
    elif outcome.status is not None:
        messages.error(request, f"The receiver answered {outcome.status}.")
    else:
        messages.error(request, f"The test did not arrive: {outcome.reason}.")


def _common(given: dict[str, Any]) -> dict[str, Any]:
    names = ("purpose", "channel", "recipient", "columns", "secrets", "people_per_request", "send_entered", "send_left")
    return {name: given[name] for name in names}


def _initial(row: Destination) -> dict[str, Any]:
    names = ("name", "purpose", "channel", "recipient", "people_per_request", "send_entered", "send_left")
    return {
        **{name: getattr(row, name) for name in names},
        "url": row.request["url"],
        "method": row.request["method"],
        "headers": _json(row.request["headers"]),
        "body": _json(row.request["body"]),
        "removal": _json(row.removal),
        "columns": write_column_lines(row.columns),
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""


def _going(row: Destination) -> dict[str, Any]:
    now = timezone.now()
    going = read_going(destinations=[row], today=now.date())[row.pk]
    skipped = sorted(going.skipped.items(), key=lambda one: -one[1])
    return {"destination": row, "going": going, "state": read_state(row, now=now), "skipped": skipped}
