"""The page of rules: which of several values of a trait wins, tried on real profiles before it is saved."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from cdp.core.access import Principal
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.errors import FieldError
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import read_list, show_page, signed_in
from profiles.queries.profiles import present_trait, read_source_names
from profiles.queries.trait_rules import EMPTY, find_applying, find_in_force, find_trait_names, list_versions
from profiles.services.trait_rules import MOST_CHARACTERS, Examined, Preview, examine_rules, save_rules
from profiles.survivorship.rules import CODE, KINDS, MOST_TRAITS

SHOWN = 25
VERSIONS = 10
SPARE_ROWS = 3
UNPROCESSABLE, CONFLICT, OK = 422, 409, 200


@require_http_methods(["GET", "HEAD", "POST"])
def trait_rules(request: HttpRequest) -> HttpResponse:
    """Show the rules; by POST show what typed ones would change, or save them."""
    if request.method != "POST":
        signed_in(request, "identity:read", "profiles:read")
        return _show(request)
    saves = request.POST.get("act") == "save"
    principal = signed_in(request, "identity:write" if saves else "identity:read", "profiles:read")
    in_force = find_in_force()
    given, misread = read_rows(request.POST, known=in_force.definition["traits"] if in_force is not None else {})
    examined = examine_rules(given)
    faults = [*misread, *examined.faults]
    is_seen = request.POST.get("checked") == examined.digest
    note = request.POST.get("note", "").replace("\0", "")[:MOST_CHARACTERS]
    if saves and is_seen and not faults:
        saved = save_rules(given=given, note=note, actor=principal.actor, now=timezone.now())
        if saved is not None:
            messages.success(request, f"Version {saved.version} is in force. Stored profiles follow within minutes.")
        return redirect("trait_rules")
    status = UNPROCESSABLE if faults else CONFLICT if saves else OK
    return _show(request, given=given, examined=examined, faults=faults, note=note, status=status)


def read_rows(given: QueryDict, *, known: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """Return the rules that the rows of the form hold, and what is wrong with the rows themselves.

    Parameters
    ----------
    known : mapping
        The traits that have a rule: in their rows none means that it is to go.
    """
    traits: dict[str, Any] = {}
    faults = []
    for number in range(MOST_TRAITS + SPARE_ROWS):
        name = given.get(f"trait-{number}", "").strip()
        kind = given.get(f"rule-{number}", "")
        if not name or not kind:
            if name and name not in known:
                faults.append(FieldError(f"traits.{name}", CODE, "Choose a rule for this trait, or empty its row."))
            continue
        if name in traits:
            faults.append(FieldError(f"traits.{name}", CODE, "This trait has two rules."))
        rule: dict[str, Any] = {"rule": kind}
        if sources := _split(given.get(f"sources-{number}", "")):
            rule["sources"] = sources
        if verified_by := given.get(f"verified-{number}", "").strip():
            rule["verified_by"] = verified_by
        traits[name] = rule
    return {"sources": _split(given.get("sources", "")), "traits": traits}, faults


def _split(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _show(
    request: HttpRequest,
    *,
    given: dict[str, Any] | None = None,
    examined: Examined | None = None,
    faults: list[FieldError] | None = None,
    note: str = "",
    status: int = OK,
) -> HttpResponse:
    principal = signed_in(request, "identity:read", "profiles:read")
    in_force = find_in_force()
    wanted = request.GET.get("version", "")
    loaded = list_versions().filter(version=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 10 else None
    held = given or (loaded.definition if loaded else in_force.definition if in_force else EMPTY)
    preview = examined.preview if examined is not None and not faults else None
    page = read_list(request, fetch=fetch_from(list_versions(), "-version"), key=key_from("version"), rows=VERSIONS)
    return show_page(
        request,
        "profiles/trait_rules.html",
        title="Rules of traits",
        status=status,
        in_force=in_force,
        loaded=loaded if loaded is not None and loaded != in_force else None,
        order=" ".join(held["sources"]),
        rows=_rows(held),
        kinds=KINDS,
        names=find_trait_names(),
        source_keys=sorted(read_source_names().values()),
        faults=faults or [],
        preview=preview,
        differences=_present(preview, principal) if preview is not None else [],
        digest=examined.digest if examined is not None else "",
        note=note,
        most_note=MOST_CHARACTERS,
        applying=find_applying(),
        page=page,
    )


def _rows(held: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [
        {
            "trait": name,
            "rule": rule.get("rule", ""),
            "sources": " ".join(rule.get("sources", [])),
            "verified_by": rule.get("verified_by", ""),
        }
        for name, rule in held["traits"].items()
    ]
    return rows + [{"trait": "", "rule": "", "sources": "", "verified_by": ""} for _ in range(SPARE_ROWS)]


def _present(preview: Preview, principal: Principal) -> list[dict[str, Any]]:
    """Return differences as the person may see them."""
    sources = read_source_names()
    shown = []
    for one in preview.differences[:SHOWN]:
        before, after = (
            None if value is None else present_trait(one.trait, value, meta or [0, 0, 0], sources, principal)
            for value, meta in (one.before, one.after)
        )
        shown.append(
            {
                "profile_id": one.profile_uuid,
                "trait": one.trait,
                "before": before,
                "after": after,
                "why": KINDS[one.rule],
            }
        )
    if principal.sees_personal_data:
        for public_id in sorted({one.profile_uuid for one in preview.differences[:SHOWN]}):
            note_read(actor=principal.actor, object=f"profile:{public_id}")
    return shown
