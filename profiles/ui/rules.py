"""The identity rules as pages: types, one type's form, a run with its examples, versions."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from profiles.identity.rules import (
    NEEDED,
    NORMALISERS,
    SOURCE_KINDS,
    WINDOWS,
    RuleChange,
    RuleSet,
    TypeDefinition,
    compare_rules,
    parse_rules,
    write_rules,
    write_type,
)
from profiles.models import RulesRun, RulesVersion
from profiles.queries.rules import (
    list_examples,
    list_runs,
    list_versions,
    read_types,
    rule_set,
    version_in_force,
)
from profiles.services.rules import MOST_NOTE, check_rules, get_rules_version, save_rules, try_rules
from profiles.services.rules_runs import KINDS, cancel_dry_run, get_run

EXAMPLES = 20
RUNS = 5
FIELD_WORDS = {
    "name": "name",
    "priority": "priority",
    "normaliser": "form",
    "limit": "limit",
    "window": "window of the limit",
    "sharing_limit": "sharing limit",
    "blocked_values": "blocked values",
    "blocked_patterns": "blocked patterns",
    "source_kinds": "sources",
    "link_purpose": "purpose of linking",
}
# Before and after it was done.
COUNT_WORDS = {
    "merge": ("merges would be made", "merges were made"),
    "split": ("parts would become profiles of their own", "parts became profiles of their own"),
    "refuse": ("links would be refused", "links were refused"),
    "quarantine": ("values would be quarantined", "values were quarantined"),
    "lift": ("values would join again", "values join again"),
    "block": ("values would be blocked", "values were blocked"),
}
EXAMPLE_WORDS = {
    "merge": "Joined",
    "split": "Divided",
    "refuse": "Refused",
    "quarantine": "Quarantined",
    "lift": "Joins again",
    "block": "Blocked",
}
# Merges, splits and refusals are told even where there are none.
ALWAYS_TOLD = 3
UNPROCESSABLE = 422


class TypeForm(forms.Form):
    """The rules of one identifier type."""

    type = forms.CharField(
        label="Key",
        max_length=64,
        help_text="As messages name it in context.externalIds, e.g. customer_card.",
        widget=forms.TextInput(attrs={"class": "input"}),
    )
    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"class": "input"}))
    priority = forms.IntegerField(
        help_text="1 is strongest: at a limit the weakest identifier of a message is left out.",
        widget=forms.NumberInput(attrs={"class": "input", "min": "1"}),
    )
    normaliser = forms.ChoiceField(
        label="Form",
        choices=[(key, f"{key}: {told}") for key, told in NORMALISERS.items()],
        help_text="The form in which values are compared.",
        widget=forms.Select(attrs={"class": "input"}),
    )
    limit = forms.IntegerField(
        required=False,
        help_text="Values on one profile; empty for no limit.",
        widget=forms.NumberInput(attrs={"class": "input", "min": "1"}),
    )
    window = forms.ChoiceField(
        required=False,
        label="Counted",
        choices=[("", "for ever"), *((key, f"within a {key}") for key in WINDOWS)],
        help_text="Whether the limit counts what a profile ever gained, or lately.",
        widget=forms.Select(attrs={"class": "input"}),
    )
    sharing_limit = forms.IntegerField(
        required=False,
        help_text="By how many accounts or records one value may be asserted; past it, it is quarantined.",
        widget=forms.NumberInput(attrs={"class": "input", "min": "1"}),
    )
    link_purpose = forms.CharField(
        required=False,
        max_length=64,
        label="Links only with consent to",
        help_text="The key of a purpose; empty: no consent is asked for.",
        widget=forms.TextInput(attrs={"class": "input"}),
    )
    all_sources = forms.BooleanField(required=False, label="Every kind of source may assert it")
    source_kinds = forms.MultipleChoiceField(
        required=False,
        label="Else only these",
        choices=[(kind, kind) for kind in SOURCE_KINDS],
        widget=forms.CheckboxSelectMultiple(),
    )
    blocked_values = forms.CharField(
        required=False,
        help_text="One a line. They never become identifiers.",
        widget=forms.Textarea(attrs={"class": "input", "rows": 6}),
    )
    blocked_patterns = forms.CharField(
        required=False,
        help_text="One a line, e.g. ^test\\d+@. No look-around, no back references.",
        widget=forms.Textarea(attrs={"class": "input", "rows": 3}),
    )
    note = forms.CharField(
        required=False,
        max_length=MOST_NOTE,
        label="Why",
        help_text="For the history.",
        widget=forms.TextInput(attrs={"class": "input"}),
    )
    version = forms.IntegerField(widget=forms.HiddenInput())

    def definition(self) -> dict[str, Any]:
        """Return the type as JSON."""
        given = self.cleaned_data
        rules = {name: given[name] or None for name in ("window", "link_purpose")}
        return {
            **rules,
            **{name: given[name] for name in ("type", "name", "priority", "normaliser", "limit", "sharing_limit")},
            **{name: _lines(given[name]) for name in ("blocked_values", "blocked_patterns")},
            "source_kinds": None if given["all_sources"] else given["source_kinds"],
        }


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@require_safe
def identity_rules(request: HttpRequest) -> HttpResponse:
    """List the types with their rules, and the runs of late."""
    signed_in(request, "identity:read")
    return show_page(
        request,
        "profiles/identity_rules.html",
        title="Identity rules",
        types=[_tell_type(one) for one in rule_set(read_types()).values()],
        version=version_in_force(),
        runs=list(list_runs().order_by("-id")[:RUNS]),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def change_type(request: HttpRequest) -> HttpResponse:
    """Show one type's form, or that of a new one; try what was typed, or save it."""
    saves = request.POST.get("act") == "save"
    principal = signed_in(request, "identity:write" if saves else "identity:read")
    rules = rule_set(read_types())
    known = rules.get(request.GET.get("type", ""))
    if request.method != "POST":
        return _show_form(request, TypeForm(initial=_initial(known)), known)
    form = TypeForm(request.POST)
    if not form.is_valid() or not _accept(form, rules, known):
        return _show_form(request, form, known, status=UNPROCESSABLE)
    definition = {"types": [*(write_type(one) for key, one in rules.items() if one is not known), form.definition()]}
    given = form.cleaned_data
    if saves:
        saved = save_rules(
            definition=definition,
            note=given["note"],
            based_on=given["version"],
            actor=principal.actor,
            now=timezone.now(),
        )
        return _after_saving(request, saved.version, saved.run)
    run = try_rules(definition=definition, actor=principal.actor, now=timezone.now())
    return redirect("rules_run", run.pk)


def _accept(form: TypeForm, rules: RuleSet, known: TypeDefinition | None) -> bool:
    """Put every fault of the rules beside its field; return whether there is none."""
    one = form.definition()
    others = [write_type(other) for other in rules.values() if other is not known]
    if known is None and one["type"] in rules:
        form.add_error("type", "There is a type of this key already.")
    _, faults = parse_rules({"types": [*others, one]})
    place = f"types[{len(others)}]."
    for fault in faults:
        name = fault.path.removeprefix(place).partition("[")[0]
        form.add_error(name if name in form.fields else None, fault.message)
    return not form.errors


def _initial(known: TypeDefinition | None) -> dict[str, Any]:
    version = version_in_force()
    if known is None:
        return {"priority": 4, "limit": 5, "all_sources": True, "normaliser": "text", "version": version}
    return {
        **write_type(known),
        "all_sources": known.source_kinds is None,
        "blocked_values": "\n".join(known.blocked_values),
        "blocked_patterns": "\n".join(known.blocked_patterns),
        "version": version,
    }


def _show_form(
    request: HttpRequest, form: TypeForm, known: TypeDefinition | None, *, status: int = 200
) -> HttpResponse:
    if known is not None:
        form.fields["type"].widget = forms.HiddenInput()
        form.fields["type"].initial = known.key
    return show_page(
        request,
        "profiles/identity_type.html",
        title=f"Identity rules: {known.name}" if known else "New identifier type",
        form=form,
        known=known,
        can_go=known is not None and known.key not in NEEDED,
        status=status,
    )


@require_POST
def remove_type(request: HttpRequest) -> HttpResponse:
    """Take a type away that no profile has values of."""
    principal = signed_in(request, "identity:write")
    rules = rule_set(read_types())
    rules.pop(request.POST.get("type", ""), None)
    saved = save_rules(definition=write_rules(rules), actor=principal.actor, now=timezone.now())
    return _after_saving(request, saved.version, saved.run)


def _after_saving(request: HttpRequest, version: int, run: RulesRun | None) -> HttpResponse:
    if run is None:
        messages.info(request, "These are the rules in force: nothing was changed.")
        return redirect("identity_rules")
    messages.success(request, f"Version {version} is in force from the next messages on. What is stored follows.")
    return redirect("rules_run", run.pk)


@require_safe
def rules_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show a run: progress, what differs, examples."""
    signed_in(request, "identity:read")
    run = get_run(run_id=run_id)
    kind = request.GET.get("kind", "")
    kind = kind if kind in KINDS else ""
    page = read_list(
        request, fetch=fetch_from(list_examples(run=run, kind=kind), "id"), key=key_from("id"), rows=EXAMPLES
    )
    return show_page(
        request,
        "profiles/rules_run.html",
        title="Trying identity rules" if run.kind == RulesRun.Kind.DRY else f"Applying version {run.version}",
        **_run_context(run),
        changes=_tell_changes(run.before, run.after),
        page=page,
        examples=[(EXAMPLE_WORDS.get(row.kind, row.kind), row) for row in page.rows],
        kind=kind,
        kinds=[(one, EXAMPLE_WORDS[one]) for one in KINDS if run.counts.get(one)],
        is_current=run.version == version_in_force(),
        most_note=MOST_NOTE,
    )


@require_safe
def rules_run_progress(request: HttpRequest, run_id: int) -> HttpResponse:
    """Answer the progress alone; once it is over, have the page read anew."""
    signed_in(request, "identity:read")
    context = _run_context(get_run(run_id=run_id))
    response = show_part(request, "profiles/rules_progress.html", **context)
    if not context["moves"]:
        response["HX-Refresh"] = "true"
    return response


@require_POST
def cancel_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Stop a dry run."""
    signed_in(request, "identity:write")
    cancel_dry_run(run_id=run_id, now=timezone.now())
    return redirect("rules_run", run_id)


@require_POST
def save_tried(request: HttpRequest, run_id: int) -> HttpResponse:
    """Put the rules of a dry run in force."""
    principal = signed_in(request, "identity:write")
    run = get_run(run_id=run_id)
    saved = save_rules(
        definition=run.after,
        note=request.POST.get("note", "").strip(),
        based_on=run.version,
        actor=principal.actor,
        now=timezone.now(),
    )
    return _after_saving(request, saved.version, saved.run)


@require_safe
def rules_versions(request: HttpRequest) -> HttpResponse:
    """List the versions, each with what it changed."""
    signed_in(request, "identity:read")
    page = read_list(request, fetch=fetch_from(list_versions(), "-version"), key=key_from("version"), rows=EXAMPLES)
    numbers = [row.version - 1 for row in page.rows]
    before = {row.version: row for row in RulesVersion.objects.filter(version__in=numbers)}
    return show_page(
        request,
        "profiles/rules_versions.html",
        title="Versions of the identity rules",
        page=page,
        versions=[
            (
                row,
                _tell_changes(before[row.version - 1].definition, row.definition) if row.version - 1 in before else [],
            )
            for row in page.rows
        ],
        version=version_in_force(),
    )


@require_POST
def try_version(request: HttpRequest, version: int) -> HttpResponse:
    """Try an older version on what is stored."""
    principal = signed_in(request, "identity:read")
    found = get_rules_version(version=version)
    check_rules(found.definition)
    run = try_rules(definition=found.definition, actor=principal.actor, now=timezone.now())
    return redirect("rules_run", run.pk)


def _run_context(run: RulesRun) -> dict[str, Any]:
    moves = run.status in {RulesRun.Status.SELECTING, RulesRun.Status.RUNNING}
    is_done = run.kind == RulesRun.Kind.APPLY
    counts = [(words[is_done], run.counts.get(key, 0)) for key, words in COUNT_WORDS.items()]
    return {
        "run": run,
        "moves": moves,
        "is_dry": not is_done,
        "done": min(run.done, run.total),
        "percent": 100 if not run.total else min(100, round(100 * run.done / run.total)),
        "counts": [(words, count) for place, (words, count) in enumerate(counts) if count or place < ALWAYS_TOLD],
        "changes_nothing": not any(count for _, count in counts),
    }


def _tell_changes(before: Any, after: Any) -> list[tuple[str, str, str, str]]:
    """Return type, field, and the values before and after, as text."""
    old, _ = parse_rules(before)
    new, _ = parse_rules(after)
    return [_tell_change(change, new.get(change.key) or old[change.key]) for change in compare_rules(old, new)]


def _tell_change(change: RuleChange, of: TypeDefinition) -> tuple[str, str, str, str]:
    if change.field:
        return of.name, FIELD_WORDS[change.field], _tell(change.before), _tell(change.after)
    sides = ("not there", "added") if change.before is None else ("there", "gone")
    return of.name, "the type", *sides


def _tell(value: Any) -> str:
    if value is None or value == []:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _tell_type(one: TypeDefinition) -> dict[str, Any]:
    return {
        "key": one.key,
        "name": one.name,
        "priority": one.priority,
        "limit": one.limit,
        "window": one.window,
        "sharing_limit": one.sharing_limit,
        "form": one.normaliser,
        "blocked": len(one.blocked_values) + len(one.blocked_patterns),
        "sources": None if one.source_kinds is None else ", ".join(one.source_kinds) or "nobody",
        "purpose": one.link_purpose,
    }
