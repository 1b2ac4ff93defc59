"""Fuzzy matching as pages: models, labelling by keys, evaluation, the review queue."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.registries import merge_participants
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from profiles.matching.fields import COMPARISONS
from profiles.matching.spec import DEFAULT_PRECISION, read_spec
from profiles.matching_models import MatchCandidate, MatchLabel, MatchModel, MatchRun
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
from profiles.services.matching_labels import answer_questions, list_questions, undo_answer
from profiles.services.matching_models import (
    ask_training,
    create_model,
    get_model,
    is_matching_on,
    is_splink_on,
    start_match_run,
)
from profiles.services.matching_review import BulkRule, decide_candidate, decide_in_bulk
from profiles.ui.matching_words import (
    ENOUGH_LABELS,
    EVERYTHING,
    MODEL_IN_WORDS,
    MODES_IN_WORDS,
    RUN_IN_WORDS,
    STATES_IN_WORDS,
    blocking_in_words,
    challenge_in_words,
    curve_of,
    drift_in_words,
    fault_in_words,
    labels_needed,
    probability_in_words,
    read_bounds,
    read_decision,
    read_id,
    read_number,
    rows_of,
    state_of,
    waterfall_of,
)

RUNS, VERSIONS, PAIRS = 10, 10, 20
SHOWN_IN_SHORT = 4
ANSWERS = ("same", "different", "unsure")
QUESTIONS = 30


@require_http_methods(["GET", "HEAD", "POST"])
def models(request: HttpRequest) -> HttpResponse:
    """List the models; make one out of lines `trait: comparison`."""
    principal = signed_in(request, "identity:write" if request.method == "POST" else "identity:read")
    faults: list[str] = []
    if request.method == "POST":
        definition = _definition(request)
        faults = [fault_in_words(one.path, one.message) for one in read_spec(definition)[1]]
        if not faults:
            made = create_model(definition=definition, actor=principal.actor, now=timezone.now())
            messages.success(request, "The model is made. Its first questions are being prepared.")
            return redirect("matching_model", made.key)
    return show_page(
        request,
        "profiles/matching_models.html",
        title="Matching",
        models=[
            {
                **present_model(one),
                "state": MODEL_IN_WORDS[one.status],
                "finds": MODES_IN_WORDS[one.definition["mode"]],
            }
            for one in list_models().order_by("id")
        ],
        modes=MODES_IN_WORDS,
        sources=sorted(read_source_names().values()),
        comparisons=COMPARISONS,
        precision=DEFAULT_PRECISION,
        faults=faults,
        given=request.POST,
        chosen=request.POST.getlist("sources"),
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
        "auto_link_precision": read_number(request.POST.get("precision", "")),
    }


@require_safe
def model(request: HttpRequest, key: str) -> HttpResponse:
    """Show a model: labels, what was measured, versions, runs; `?part=state` answers only what it does now."""
    signed_in(request, "identity:read")
    found = get_model(key=key)
    shown, runs = present_model(found), list(found.runs.order_by("-id")[:RUNS])
    state = state_of(shown, runs)
    if request.GET.get("part") == "state":
        part = show_part(request, "profiles/matching_state.html", model=shown, state=state)
        if not state["is_busy"]:
            part["HX-Refresh"] = "true"
        return part
    versions = list(list_match_versions(model=found).order_by("-version")[:VERSIONS])
    live = list_match_versions(model=found).filter(version=found.live_version or 0).first()
    done = found.runs.filter(status=MatchRun.Status.DONE).order_by("-id")
    last, before = [*done.filter(engine=MatchRun.Engine.DEDUPE)[:2], None, None][:2]
    challenged = done.filter(engine=MatchRun.Engine.SPLINK).first()
    return show_page(
        request,
        "profiles/matching_model.html",
        title=found.name,
        model=shown,
        state=state,
        versions=versions,
        live=live,
        needed=labels_needed(found.definition["auto_link_precision"]),
        curve=curve_of(live.measured, last) if live is not None else [],
        runs=[(one, *RUN_IN_WORDS[one.status]) for one in runs],
        last=last,
        blocking=blocking_in_words(last),
        before=before,
        can_challenge=is_splink_on(),
        challenge=_challenge(found, challenged, last),
        drift=drift_in_words(last.figures.get("drift")) if last is not None else None,
        agreement=label_agreement(model=found),
        waiting=list_candidates(state="open", model=key).count(),
    )


def _challenge(found: MatchModel, challenged: MatchRun | None, last: MatchRun | None) -> list[str]:
    """Return what the last run of Splink found; nothing where a run of the model filled the queue since it began."""
    beside = challenged.figures.get("beside") if challenged is not None else None
    if challenged is None or (last is not None and beside is None):
        return []
    numbers = [challenged.version, beside["version"] if beside else 0]
    known = {one.version: one for one in list_match_versions(model=found).filter(version__in=numbers)}
    return challenge_in_words(challenged, *(known.get(number) for number in numbers))


@require_POST
def train(request: HttpRequest, key: str) -> HttpResponse:
    """Train on all labels."""
    principal = signed_in(request, "identity:write")
    ask_training(model=get_model(key=key), actor=principal.actor, now=timezone.now())
    messages.info(request, "Training has begun. This page tells when it is done.")
    return redirect("matching_model", key)


@require_POST
def run(request: HttpRequest, key: str) -> HttpResponse:
    """Match all records; with `apply` join the auto-link zone; by Splink, beside it or to begin with."""
    principal = signed_in(request, "identity:write")
    start_match_run(
        model=get_model(key=key),
        apply=request.POST.get("apply") == "yes",
        engine=MatchRun.Engine.SPLINK if request.POST.get("engine") == "splink" else MatchRun.Engine.DEDUPE,
        actor=principal.actor,
        now=timezone.now(),
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
        return _answer(request, found, principal.actor, now)
    traits = [one["trait"] for one in found.definition["fields"]]
    # Nobody is at it, and there are none: asking the worker again, as the next line does, will hardly bring any.
    has_none = found.wants_questions_at is None
    questions = list_questions(model=found, limit=QUESTIONS, now=now, actor=principal.actor)
    # What somebody has just taken back comes first again, to them.
    again = read_id(request.GET.get("question", ""))
    questions.sort(key=lambda one: one.pk != again)
    shown = present_questions(questions, traits=traits, principal=principal)
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
        rows=rows_of(shown[0], traits) if shown else [],
        has_none=has_none,
        has_failed=found.status == MatchModel.Status.FAILED,
        mine=mine,
        total=total,
        enough=ENOUGH_LABELS,
        share=min(100, round(100 * total / ENOUGH_LABELS)),
    )


def _answer(request: HttpRequest, found: MatchModel, actor: str, now: datetime) -> HttpResponse:
    """Take an answer in, or take the last one back, and lead to the next question."""
    given, question = request.POST.get("answer", ""), read_id(request.POST.get("question", ""))
    if given == "undo":
        again = undo_answer(model=found, actor=actor, now=now)
        if again is not None:
            return redirect(f"{reverse('label_matches', args=[found.key])}?question={again.pk}")
        messages.info(request, "There is no answer of yours to take back.")
    elif given in ANSWERS and question is not None:
        taken, _ = answer_questions(model=found, answers=[(question, given)], actor=actor, now=now)
        if not taken:
            messages.info(request, "That pair is no longer asked about: somebody answered it, or a record is gone.")
    return redirect("label_matches", found.key)


@require_safe
def candidates(request: HttpRequest) -> HttpResponse:
    """List pairs that somebody should look at, the likeliest first."""
    principal = signed_in(request, "identity:read")
    state = request.GET.get("state", "open")
    state = state if state in MatchCandidate.State.values else "open"
    bounds = read_bounds(request.GET)
    rows = list_candidates(state=state, model=request.GET.get("model", ""), least=bounds[0], most=bounds[1])
    page = read_list(
        request, fetch=fetch_from(rows, "-probability", "-id"), key=key_from("probability", "id"), rows=PAIRS
    )
    if page.rows and principal.sees_personal_data:
        note_read(actor=principal.actor, object="match_candidates")
    return show_page(
        request,
        "profiles/matching_candidates.html",
        title="Possible duplicates",
        page=page,
        pairs=_in_short(page.rows, present_candidates(page.rows, principal=principal)),
        count=rows.count(),
        rule={"least": "0.99", "most": "1", "decision": "different", **request.GET.dict()},
        state=state,
        bounds=bounds if bounds != EVERYTHING else None,
        states=STATES_IN_WORDS.items(),
        models=[(one.key, one.name) for one in list_models().order_by("id")],
    )


def _in_short(rows: Sequence[MatchCandidate], pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add what the first fields of both records say, so that the list can be read."""
    for row, pair in zip(rows, pairs, strict=True):
        traits = [one["trait"] for one in row.model.definition["fields"]]
        for side in ("left", "right"):
            values = [str(pair[side]["traits"][name]) for name in traits if pair[side]["traits"].get(name)]
            pair[side]["in_short"] = ", ".join(values[:SHOWN_IN_SHORT]) or "nothing known"
        pair["likely"] = probability_in_words(row.probability)
    return pairs


@require_http_methods(["GET", "HEAD", "POST"])
def candidate(request: HttpRequest, candidate_id: int) -> HttpResponse:
    """Show why two may be one person and what a merge would change; take the decision."""
    principal = signed_in(request, "identity:write" if request.method == "POST" else "identity:read")
    now = timezone.now()
    if request.method == "POST":
        decision = read_decision(request.POST)
        row = decide_candidate(candidate_id=candidate_id, decision=decision, actor=principal.actor, now=now)
        messages.success(request, "They are one now; the merge can be undone." if decision == "same" else "Kept apart.")
        following = _next_of(row)
        return redirect("match_candidate", following) if following else redirect("match_candidates")
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
        model=row.model,
        likely=probability_in_words(row.probability),
        state=STATES_IN_WORDS[row.state],
        following=_next_of(row),
        bits=sum(row.contributions.values()),
        rows=rows_of(pair, traits),
        waterfall=waterfall_of(row),
        effects=_effects(row, now),
        restricted=any_restricted([pair[side]["profile_id"] for side in ("left", "right")]),
    )


def _next_of(row: MatchCandidate) -> int | None:
    """Return the next less likely open pair of the model; the likeliest after the last."""
    open_pairs = list_candidates(state="open", model=row.model.key).exclude(pk=row.pk)
    later = Q(probability__lt=row.probability) | Q(probability=row.probability, pk__lt=row.pk)
    ordered = open_pairs.order_by("-probability", "-id").values_list("pk", flat=True)
    return ordered.filter(later).first() or ordered.first()


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
    least, most = read_bounds(request.POST)
    rule = BulkRule(request.POST.get("model", ""), read_decision(request.POST), least, most)
    dry = request.POST.get("act") != "decide"
    shown = None if dry else read_id(request.POST.get("shown", ""))
    pairs, decided = decide_in_bulk(rule=rule, dry_run=dry, actor=principal.actor, now=timezone.now(), shown=shown)
    if dry:
        messages.info(request, "Nothing was decided yet.")
    elif shown not in {None, pairs}:
        dry = True
        messages.warning(request, "Other pairs came or went meanwhile, so nothing was decided: look at these.")
    else:
        messages.success(request, f"{decided} of {pairs} pairs were decided: {rule.decision}.")
    kept = {"model": rule.model, "least": rule.least, "most": rule.most, "decision": rule.decision, "act": "preview"}
    # Before: the pairs that it would decide, above the rule. After: the queue, of which they are gone.
    return redirect(f"{reverse('match_candidates')}?{urlencode(kept if dry else {'model': rule.model})}#queue")
