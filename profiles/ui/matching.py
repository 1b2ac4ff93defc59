"""Fuzzy matching as pages: models, labelling by keys, evaluation, the review queue."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.registries import merge_participants
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import read_list, show_page, signed_in
from profiles.matching.fields import COMPARISONS
from profiles.matching.spec import DEFAULT_PRECISION, read_spec
from profiles.matching_models import MatchCandidate, MatchLabel, MatchModel, MatchQuestion, MatchRun
from profiles.queries.matching import (
    get_candidate,
    label_agreement,
    list_candidates,
    list_match_versions,
    list_models,
    present_candidates,
    present_model,
    present_questions,
)
from profiles.queries.matching_records import read_holders
from profiles.queries.people import any_restricted
from profiles.queries.profiles import read_source_names
from profiles.services.matching_models import (
    answer_questions,
    ask_training,
    create_model,
    get_model,
    is_matching_on,
    list_questions,
    start_match_run,
    undo_answer,
)
from profiles.services.matching_review import BulkRule, decide_candidate, decide_in_bulk

ENOUGH_LABELS = 200
RUNS, VERSIONS, PAIRS = 10, 10, 10
SHOWN_IN_SHORT = 4
# Of the population stability index, as it is commonly read.
STEADY, ANOTHER = 0.1, 0.25
JOINT_IN_WORDS = {"~names": "all names together", "~texts": "all texts together"}
PARTS_IN_WORDS = {
    "sound": "the sound of",
    "start": "the beginning of",
    "end": "the end of",
    "first": "the first word of",
    "year": "the year of",
    "month": "year and month of",
    "day": "month and day of",
    "local": "what is before the @ of",
    "district": "the first three characters of",
}
ANSWERS = {"same": "s", "different": "d", "unsure": "u"}


@require_http_methods(["GET", "HEAD", "POST"])
def models(request: HttpRequest) -> HttpResponse:
    """List the models; make one out of lines `trait: comparison`."""
    principal = signed_in(request, "identity:write" if request.method == "POST" else "identity:read")
    faults: list[str] = []
    if request.method == "POST":
        definition = _definition(request)
        faults = [f"{one.path}: {one.message}" for one in read_spec(definition)[1]]
        if not faults:
            made = create_model(definition=definition, actor=principal.actor, now=timezone.now())
            messages.success(request, "The model is made. Its first questions are being prepared.")
            return redirect("matching_model", made.key)
    return show_page(
        request,
        "profiles/matching_models.html",
        title="Matching",
        models=[present_model(one) for one in list_models().order_by("id")],
        sources=sorted(read_source_names().values()),
        comparisons=COMPARISONS,
        precision=DEFAULT_PRECISION,
        faults=faults,
        given=request.POST,
        is_on=is_matching_on(),
        waiting=MatchCandidate.objects.filter(state=MatchCandidate.State.OPEN).count(),
        status=422 if faults else 200,
    )


def _definition(request: HttpRequest) -> dict[str, Any]:
    fields = []
    for line in request.POST.get("fields", "").splitlines():
        trait, _, comparison = line.rpartition(":")
        if line.strip():
            fields.append({"trait": trait.strip(), "comparison": comparison.strip()})
    return {
        "key": request.POST.get("key", ""),
        "name": request.POST.get("name") or request.POST.get("key", ""),
        "sources": request.POST.getlist("sources"),
        "fields": fields,
        "mode": request.POST.get("mode", "deduplicate"),
        "auto_link_precision": _number(request.POST.get("precision", "")),
    }


@require_safe
def model(request: HttpRequest, key: str) -> HttpResponse:
    """Show a model: labels, what was measured, versions, runs."""
    signed_in(request, "identity:read")
    found = get_model(key=key)
    versions = list(list_match_versions(model=found).order_by("-version")[:VERSIONS])
    live = next((one for one in versions if one.version == found.live_version), None)
    runs = list(found.runs.order_by("-id")[:RUNS])
    last = next((one for one in runs if one.figures.get("clusters") is not None), None)
    return show_page(
        request,
        "profiles/matching_model.html",
        title=found.name,
        model=present_model(found),
        versions=versions,
        live=live,
        curve=_curve(live.measured) if live is not None else [],
        runs=runs,
        last=last,
        blocking=_blocking(last),
        before=next((one for one in runs if last is not None and one.pk < last.pk and one.figures), None),
        drift=_drift(last.figures.get("drift")) if last is not None else None,
        agreement=label_agreement(model=found),
        is_busy=found.status in (MatchModel.Status.PREPARING, MatchModel.Status.TRAINING)
        or any(one.finished_at is None for one in runs),
        waiting=list_candidates(state="open", model=key).count(),
    )


def _drift(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return drift in words, with the fields whose share moved by a hundredth or more."""
    if found is None:
        return None
    moved = found["probabilities"]
    words = ((STEADY, "steady"), (ANOTHER, "a little different: look at the queue"))
    word = next((word for most, word in words if moved < most), "another kind of data: label and train again")
    fields = [
        (name, 100 * abs(share), "more" if share > 0 else "fewer")
        for name, share in found["filled"].items()
        if abs(share) >= 0.01
    ]
    return {**found, "word": word, "fields": [one for one in fields if not one[0].startswith("~")]}


def _blocking(last: MatchRun | None) -> list[dict[str, Any]]:
    """Return what each rule of a run gave and left out, the rule in words."""
    if last is None:
        return []
    return [
        {**one, "rule": ", ".join(_part_in_words(part) for part in one["rule"].split(" + "))}
        for one in last.figures.get("blocking", [])
    ]


def _part_in_words(part: str) -> str:
    name, _, atom = part.rpartition(".")
    kind, _, detail = atom.partition(":")
    if not name or (atom not in PARTS_IN_WORDS and kind not in ("words", "learned")):
        return JOINT_IN_WORDS.get(part, part)
    name = JOINT_IN_WORDS.get(name, name)
    if kind == "words":
        return f"one of the {detail} rarest words of {name}"
    if kind == "learned":
        # Functions of dedupe have names like `sameThreeCharStartPredicate`.
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", detail.removesuffix("Predicate")).lower()
        return f"{name} by what dedupe learned ({words})"
    return f"{PARTS_IN_WORDS[atom]} {name}"


def _curve(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """Return precision and recall on labels held back, by threshold."""
    real = measured.get("real") or 0
    return [
        {
            "threshold": one["threshold"],
            "claimed": one["claimed"],
            "precision": one["right"] / one["claimed"] if one["claimed"] else None,
            "recall": one["right"] / real if real else None,
        }
        for one in measured.get("curve", [])
    ]


@require_POST
def train(request: HttpRequest, key: str) -> HttpResponse:
    """Train on all labels."""
    principal = signed_in(request, "identity:write")
    ask_training(model=get_model(key=key), actor=principal.actor, now=timezone.now())
    messages.info(request, "Training has begun. This page tells when it is done.")
    return redirect("matching_model", key)


@require_POST
def run(request: HttpRequest, key: str) -> HttpResponse:
    """Match all records; with `apply` join the auto-link zone."""
    principal = signed_in(request, "identity:write")
    start_match_run(
        model=get_model(key=key), apply=request.POST.get("apply") == "yes", actor=principal.actor, now=timezone.now()
    )
    messages.info(request, "The run has begun.")
    return redirect("matching_model", key)


@require_http_methods(["GET", "HEAD", "POST"])
def label(request: HttpRequest, key: str) -> HttpResponse:
    """Show one pair and take its answer: by buttons, or the keys s, d, u, and z to take the last one back."""
    principal = signed_in(request, "identity:write")
    found = get_model(key=key)
    now = timezone.now()
    if request.method == "POST":
        if request.POST.get("answer") == "undo":
            if undo_answer(model=found, actor=principal.actor, now=now) is None:
                messages.info(request, "There is no answer of yours to take back.")
        elif request.POST.get("answer") in ANSWERS and request.POST.get("question", "").isdigit():
            given = [(int(request.POST["question"]), request.POST["answer"])]
            answer_questions(model=found, answers=given, actor=principal.actor, now=now)
        return redirect("label_matches", key)
    traits = [one["trait"] for one in found.definition["fields"]]
    # The last answer that was taken back comes first again.
    questions = list_questions(model=found, limit=5, now=now)
    again = MatchQuestion.objects.filter(model=found).order_by("-asked_at", "-id").first()
    shown = present_questions(
        [*([again] if again and again.pk not in {q.pk for q in questions} else []), *questions],
        traits=traits,
        principal=principal,
    )
    if shown and principal.sees_personal_data:
        note_read(actor=principal.actor, object=f"matching_model:{key}:questions")
    mine = MatchLabel.objects.filter(model=found, actor=principal.actor).count()
    total = MatchLabel.objects.filter(model=found).exclude(answer="unsure").count()
    return show_page(
        request,
        "profiles/matching_label.html",
        title=f"{found.name}: the same person?",
        key=key,
        question=shown[0] if shown else None,
        rows=_rows(shown[0], traits) if shown else [],
        status_word=found.status,
        mine=mine,
        total=total,
        enough=ENOUGH_LABELS,
        share=min(100, round(100 * total / ENOUGH_LABELS)),
    )


def _rows(pair: dict[str, Any], traits: list[str]) -> list[tuple[str, Any, Any]]:
    left, right = pair["left"]["traits"], pair["right"]["traits"]
    return [(name, left.get(name), right.get(name)) for name in traits if name in left or name in right]


@require_safe
def candidates(request: HttpRequest) -> HttpResponse:
    """List pairs that somebody should look at, the likeliest first."""
    principal = signed_in(request, "identity:read")
    state = request.GET.get("state", "open")
    state = state if state in MatchCandidate.State.values else "open"
    least, most = _number(request.GET.get("least", "")), _number(request.GET.get("most", ""))
    least, most = 0.0 if least is None else least, 1.0 if most is None else most
    rows = list_candidates(state=state, model=request.GET.get("model", ""), least=least, most=most)
    page = read_list(
        request, fetch=fetch_from(rows, "-probability", "-id"), key=key_from("probability", "id"), rows=PAIRS * 2
    )
    if page.rows and principal.sees_personal_data:
        note_read(actor=principal.actor, object="match_candidates")
    return show_page(
        request,
        "profiles/matching_candidates.html",
        title="Possible duplicates",
        page=page,
        pairs=_in_short(page.rows, present_candidates(page.rows, principal=principal)),
        rule={"least": "0.99", "most": "1", "decision": "different", **request.GET.dict()},
        state=state,
        bounds=(least, most) if least > 0.0 or most < 1.0 else None,
        states=MatchCandidate.State.values,
        models=[one.key for one in list_models().order_by("id")],
    )


def _in_short(rows: Sequence[MatchCandidate], pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add what the first fields of both records say, so that the list can be read."""
    for row, pair in zip(rows, pairs, strict=True):
        traits = [one["trait"] for one in row.model.definition["fields"]]
        for side in ("left", "right"):
            values = [str(pair[side]["traits"][name]) for name in traits if pair[side]["traits"].get(name)]
            pair[side]["in_short"] = ", ".join(values[:SHOWN_IN_SHORT]) or "nothing known"
    return pairs


@require_http_methods(["GET", "HEAD", "POST"])
def candidate(request: HttpRequest, candidate_id: int) -> HttpResponse:
    """Show why two may be one person and what a merge would change; take the decision."""
    principal = signed_in(request, "identity:write" if request.method == "POST" else "identity:read")
    now = timezone.now()
    if request.method == "POST":
        decision = "same" if request.POST.get("decision") == "same" else "different"
        decide_candidate(candidate_id=candidate_id, decision=decision, actor=principal.actor, now=now)
        messages.success(request, "They are one now; the merge can be undone." if decision == "same" else "Kept apart.")
        following = list_candidates(state="open").order_by("-probability", "-id").first()
        return redirect("match_candidate", following.pk) if following else redirect("match_candidates")
    row = get_candidate(candidate_id=candidate_id)
    pair = present_candidates([row], principal=principal)[0]
    if principal.sees_personal_data:
        note_read(actor=principal.actor, object=f"match_candidate:{row.pk}")
    traits = [one["trait"] for one in row.model.definition["fields"]]
    return show_page(
        request,
        "profiles/matching_candidate.html",
        title="Are these one person?",
        pair=pair,
        rows=_rows(pair, traits),
        waterfall=_waterfall(row),
        effects=_effects(row, now),
        restricted=any_restricted([pair[side]["profile_id"] for side in ("left", "right")]),
    )


def _waterfall(row: MatchCandidate) -> list[dict[str, Any]]:
    """Return what each field adds, with where its bar begins and how long it is, in percent of the whole width."""
    steps: list[tuple[str, float, float]] = []
    level = 0.0
    for name, bits in sorted(row.contributions.items(), key=lambda one: (one[0] != "bias", -abs(one[1]))):
        steps.append((name, bits, level))
        level += bits
    low = min([0.0, *(min(start, start + bits) for _, bits, start in steps)])
    width = max([0.0, *(max(start, start + bits) for _, bits, start in steps)]) - low or 1.0
    words = {"bias": "before any field", **JOINT_IN_WORDS}
    return [
        {
            "name": words.get(name, name),
            "bits": bits,
            "start": round(100 * (min(start, start + bits) - low) / width, 1),
            "width": round(max(0.5, 100 * abs(bits) / width), 1),
            "total": start + bits,
        }
        for name, bits, start in steps
    ]


def _effects(row: MatchCandidate, now: Any) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return what a merge would change, as each app that takes part in merges tells."""
    holders = read_holders([row.left_node, row.right_node])
    left, right = holders.get(row.left_node), holders.get(row.right_node)
    if left is None or right is None or left == right:
        return []
    found = []
    for participant in merge_participants:
        preview = getattr(participant, "preview", None)
        if preview is not None:
            found.append((participant.name, list(preview(pair=(left, right), now=now))))
    return found


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """Show how many pairs a rule takes in, or decide them."""
    principal = signed_in(request, "identity:write")
    decision = "same" if request.POST.get("decision") == "same" else "different"
    least, most = _number(request.POST.get("least", "")), _number(request.POST.get("most", ""))
    rule = BulkRule(
        request.POST.get("model", ""), decision, 0.0 if least is None else least, 1.0 if most is None else most
    )
    dry = request.POST.get("act") != "decide"
    pairs, decided = decide_in_bulk(rule=rule, dry_run=dry, actor=principal.actor, now=timezone.now())
    if dry:
        messages.info(
            request,
            f"{pairs} open pairs of {rule.model} lie between {rule.least} and {rule.most}; they are shown here. "
            "Nothing was decided yet.",
        )
    else:
        messages.success(request, f"{decided} of {pairs} pairs were decided: {decision}.")
    kept = {"model": rule.model, "least": rule.least, "most": rule.most, "decision": rule.decision}
    # Before: the pairs that it would decide, above the rule. After: the queue, of which they are gone.
    return redirect(f"{reverse('match_candidates')}?{urlencode(kept if dry else {'model': rule.model})}#queue")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
