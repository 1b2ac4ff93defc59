"""Reading models, questions, runs and the review queue, as REST and pages show them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from cdp.core.access import Principal
from cdp.core.copying import int_array
from profiles.errors import NoSuchCandidate, NoSuchMatchRun
from profiles.matching_models import MatchCandidate, MatchLabel, MatchModel, MatchQuestion, MatchRun, MatchVersion
from profiles.models import Profile
from profiles.queries.profiles import present_traits, read_source_names

AT_ONCE = 5_000
FIGURES = ("seconds", "cpu_seconds", "peak_memory_bytes", "records", "candidates", "clusters", "largest_cluster")

CLUSTERS = """
SELECT r.id, coalesce(i.value, p.uuid::text), r.cluster FROM profiles_matchedrecord r
LEFT JOIN profiles_identifier i ON i.id = r.node LEFT JOIN profiles_profile p ON p.id = r.profile_id
WHERE r.run_id = %s AND r.id > %s AND coalesce(i.value, p.uuid::text) IS NOT NULL ORDER BY r.id LIMIT %s
"""
# One record stands for each profile: that with the lowest number in the run. Who was joined since is no pair.
PAIRS = """
SELECT m.id, coalesce(li.value, lp.uuid::text), coalesce(ri.value, rp.uuid::text), m.probability
FROM (SELECT * FROM profiles_matchedpair WHERE run_id = %(run)s AND id > %(after)s AND "left" <> "right"
    ORDER BY id LIMIT %(limit)s) m
LEFT JOIN LATERAL (SELECT i.value FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
    WHERE i.profile_id = m."left" AND t.key = 'record_id' ORDER BY i.id LIMIT 1) li ON true
LEFT JOIN profiles_profile lp ON lp.id = m."left"
LEFT JOIN LATERAL (SELECT i.value FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
    WHERE i.profile_id = m."right" AND t.key = 'record_id' ORDER BY i.id LIMIT 1) ri ON true
LEFT JOIN profiles_profile rp ON rp.id = m."right" ORDER BY m.id
"""
HOLDERS = """
SELECT i.id, CASE WHEN t.key = 'record_id' THEN i.value ELSE p.uuid::text END, i.profile_id
FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
JOIN profiles_profile p ON p.id = i.profile_id WHERE i.id = ANY(%s::bigint[])
"""


def present_model(model: MatchModel) -> dict[str, Any]:
    """Return a model as REST shows it."""
    counts = Counter(dict(count_answers(model)))
    return {
        **model.definition,
        "status": model.status,
        "error": model.error,
        "version": model.live_version,
        "labels": {name: counts.get(name, 0) for name in MatchLabel.Answer.values},
        "open_questions": MatchQuestion.objects.filter(model=model).count(),
        "created_at": model.created_at,
    }


def count_answers(model: MatchModel) -> Iterator[tuple[str, int]]:
    """Yield how many labels there are of each answer."""
    found = Counter(MatchLabel.objects.filter(model=model).values_list("answer", flat=True))
    yield from found.items()


def list_models() -> QuerySet[MatchModel]:
    """Return all models."""
    return MatchModel.objects.all()


def get_match_run(*, model: MatchModel, run_id: int) -> MatchRun:
    """Return a run of a model.

    Raises
    ------
    NoSuchMatchRun
        If it has none of this id.
    """
    found = MatchRun.objects.filter(model=model, pk=run_id).first()
    if found is None:
        message = "The model has no run of this id, or its time is up."
        raise NoSuchMatchRun(message)
    return found


def present_match_run(run: MatchRun) -> dict[str, Any]:
    """Return a run as REST shows it."""
    return {
        "id": str(run.pk),
        "status": run.status,
        "error": run.error,
        "apply": run.apply,
        "engine": run.engine,
        "version": run.version,
        **{name: run.figures.get(name) for name in FIGURES},
        "labels_used": run.figures.get("labels_used"),
        "merged": run.figures.get("merged"),
        "auto_link": run.figures.get("auto_link"),
        "block_recall": run.figures.get("block_recall"),
        "steps": run.figures.get("steps", {}),
        "blocking": run.figures.get("blocking", []),
        "drift": run.figures.get("drift"),
        "beside": run.figures.get("beside"),
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def read_sides(nodes: Iterable[int], *, traits: Sequence[str], principal: Principal) -> dict[int, dict[str, Any]]:
    """Return for identifiers the record that each stands for, with the traits that are compared."""
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS, [int_array(nodes)])
        rows = cursor.fetchall()
    profiles = Profile.objects.in_bulk({profile for _, _, profile in rows})
    sources = read_source_names()
    found = {}
    for node, name, profile_id in rows:
        profile = profiles.get(profile_id)
        if profile is None:
            # It was joined or erased between the two looks.
            continue
        shown = present_traits(profile, sources, principal)
        found[node] = {
            "record_id": name,
            "profile_id": str(profile.uuid),
            "traits": {trait: shown[trait]["value"] for trait in traits if trait in shown},
        }
    return found


def read_names(nodes: Iterable[int]) -> dict[int, str]:
    """Return for identifiers the record id that each stands for."""
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS, [int_array(nodes)])
        return {node: name for node, name, _ in cursor.fetchall()}


def present_questions(
    questions: Sequence[MatchQuestion], *, traits: Sequence[str], principal: Principal
) -> list[dict[str, Any]]:
    """Return questions with both records; those whose record is gone are left out."""
    sides = read_sides(
        {node for one in questions for node in (one.left_node, one.right_node)}, traits=traits, principal=principal
    )
    return [
        {"id": str(one.pk), "left": sides[one.left_node], "right": sides[one.right_node]}
        for one in questions
        if one.left_node in sides and one.right_node in sides
    ]


def cluster_lines(*, run: MatchRun) -> Iterator[str]:
    """Yield the clusters as CSV."""
    yield "record_id,cluster_id\n"
    after = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(CLUSTERS, [run.pk, after, AT_ONCE])
            rows = cursor.fetchall()
        if not rows:
            return
        yield "".join(f"{_cell(name)},{cluster}\n" for _, name, cluster in rows)
        after = rows[-1][0]


def pair_lines(*, run: MatchRun) -> Iterator[str]:
    """Yield the likely pairs as CSV."""
    yield "left,right,probability\n"
    after = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(PAIRS, {"run": run.pk, "after": after, "limit": AT_ONCE})
            rows = cursor.fetchall()
        if not rows:
            return
        shown = [row for row in rows if row[1] is not None and row[2] is not None]
        yield "".join(f"{_cell(left)},{_cell(right)},{likely:.6f}\n" for _, left, right, likely in shown)
        after = rows[-1][0]


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n\r') else text


def list_candidates(*, state: str, model: str = "", least: float = 0.0, most: float = 1.0) -> QuerySet[MatchCandidate]:
    """Return pairs of the review queue, those of a model and between two probabilities where they are named."""
    rows = MatchCandidate.objects.select_related("model").filter(state=state)
    if least > 0.0 or most < 1.0:
        rows = rows.filter(probability__gte=least, probability__lte=most)
    return rows.filter(model__key=model) if model else rows


def get_candidate(*, candidate_id: int) -> MatchCandidate:
    """Return a pair of the review queue.

    Raises
    ------
    NoSuchCandidate
        If none has this id.
    """
    found = MatchCandidate.objects.select_related("model").filter(pk=candidate_id).first()
    if found is None:
        message = "No pair of the review queue has this id."
        raise NoSuchCandidate(message)
    return found


def present_candidates(rows: Sequence[MatchCandidate], *, principal: Principal) -> list[dict[str, Any]]:
    """Return pairs with both records and what each field contributes, in bits."""
    traits = sorted({one["trait"] for row in rows for one in row.model.definition["fields"]})
    sides = read_sides({n for row in rows for n in (row.left_node, row.right_node)}, traits=traits, principal=principal)
    gone: Mapping[str, Any] = {"record_id": None, "profile_id": None, "traits": {}}
    return [
        {
            "id": str(row.pk),
            "model": row.model.key,
            "probability": row.probability,
            "state": row.state,
            "left": sides.get(row.left_node, gone),
            "right": sides.get(row.right_node, gone),
            "contributions": row.contributions,
            "found_at": row.found_at,
            "decided_at": row.decided_at,
            "decided_by": row.decided_by,
        }
        for row in rows
    ]


def list_match_versions(*, model: MatchModel) -> QuerySet[MatchVersion]:
    """Return the versions of a model."""
    return MatchVersion.objects.filter(model=model)


def present_match_version(row: MatchVersion, live: int | None) -> dict[str, Any]:
    """Return a version as REST shows it."""
    return {
        "version": row.version,
        "engine": row.engine,
        "in_force": row.version == live,
        "labels": row.labels,
        "auto_link": row.auto_link,
        "measured": row.measured,
        "created_at": row.created_at,
        "promoted_at": row.promoted_at,
    }


def label_agreement(*, model: MatchModel) -> dict[str, Any]:
    """Return how far people agree: pairs with answers of several, those alike, and Cohen's kappa over all of them."""
    answers: dict[tuple[int, int], list[str]] = {}
    for left, right, answer in MatchLabel.objects.filter(model=model, answer__in=("same", "different")).values_list(
        "left_node", "right_node", "answer"
    ):
        answers.setdefault((left, right), []).append(answer)
    several = [given for given in answers.values() if len(given) > 1]
    pairs = [(given[0], other) for given in several for other in given[1:]]
    alike = sum(a == b for a, b in pairs)
    if not pairs:
        return {"pairs": 0, "alike": 0, "kappa": None}
    observed = alike / len(pairs)
    same_a = sum(a == "same" for a, _ in pairs) / len(pairs)
    same_b = sum(b == "same" for _, b in pairs) / len(pairs)
    expected = same_a * same_b + (1 - same_a) * (1 - same_b)
    kappa = 1.0 if expected == 1 else (observed - expected) / (1 - expected)
    return {"pairs": len(pairs), "alike": alike, "kappa": kappa}
