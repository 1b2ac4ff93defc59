"""What people say of pairs of records: questions that are open, answers, and labels that nobody asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Min

from cdp.core.errors import FieldError
from cdp.core.services import audit
from cdp.core.services.wakeups import wake
from profiles.errors import BadModel
from profiles.matching.spec import ModelSpec
from profiles.matching_models import MatchLabel, MatchModel, MatchQuestion
from profiles.models import Identifier
from profiles.queries.matching_records import RECORD_TYPE, find_nodes, find_unaskable
from profiles.services.matching_models import TASK_NAME, spec_of

# Who answered within so long of each other answer at the same time.
TOGETHER = timedelta(minutes=10)
SECOND_EACH = 10


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """An answer about two records that somebody named."""

    left: str
    right: str
    answer: str


def list_questions(*, model: MatchModel, limit: int, now: datetime, actor: str) -> list[MatchQuestion]:
    """Return open questions, the most informative first; the worker is asked for more where few are left.

    Nobody is asked what they have answered, and who answer at the same time begin at different places.
    """
    found = _for_whom(_askable(MatchQuestion.objects.filter(model=model).order_by("id")), model, actor, now)[:limit]
    if len(found) < limit and model.wants_questions_at is None:
        MatchModel.objects.filter(pk=model.pk, wants_questions_at=None).update(wants_questions_at=now)
        wake(TASK_NAME)
    return found


def _for_whom(questions: Sequence[MatchQuestion], model: MatchModel, actor: str, now: datetime) -> list[MatchQuestion]:
    labels = MatchLabel.objects.filter(model=model)
    known = labels.filter(left_node__in=[one.left_node for one in questions])
    answered: dict[tuple[int, int], set[str]] = {}
    for left, right, by in known.values_list("left_node", "right_node", "actor"):
        answered.setdefault((left, right), set()).add(by)
    of_others: list[MatchQuestion] = []
    fresh: list[MatchQuestion] = []
    for one in questions:
        by_whom = answered.get((one.left_node, one.right_node), set())
        if actor not in by_whom:
            (of_others if by_whom else fresh).append(one)
    recently = labels.filter(origin=MatchLabel.Origin.QUESTION, answered_at__gt=now - TOGETHER)
    people = sorted({actor, *recently.values_list("actor", flat=True)})
    start = people.index(actor) * len(fresh) // len(people)
    return of_others + fresh[start:] + fresh[:start]


def _askable(questions: Iterable[MatchQuestion]) -> list[MatchQuestion]:
    """Return the questions about people who may be matched now, and are two, in their order."""
    found = list(questions)
    barred = find_unaskable((one.left_node, one.right_node) for one in found)
    return [one for one in found if (one.left_node, one.right_node) not in barred]


def answer_questions(
    *, model: MatchModel, answers: Sequence[tuple[int, str]], actor: str, now: datetime
) -> tuple[int, list[int]]:
    """Take answers in.

    Parameters
    ----------
    answers : sequence of (int, str)
        Ids of questions with same, different or unsure.

    Returns
    -------
    (int, list of int)
        How many were taken, and the ids that were not open: answered before, or their records are gone.
    """
    given = dict(answers)
    with transaction.atomic():
        # Order of the lock: two stewards who send several answers at once would wait for each other.
        rows = MatchQuestion.objects.select_for_update().filter(model=model, pk__in=list(given)).order_by("pk")
        asked = {row.pk: row for row in _askable(rows)}
        _write_labels(
            model,
            [(row.left_node, row.right_node, given[key]) for key, row in asked.items()],
            origin=MatchLabel.Origin.QUESTION,
            actor=actor,
            now=now,
        )
        MatchQuestion.objects.filter(pk__in=list(asked)).delete()
        _ask_a_second(model, len(asked), actor, now)
        MatchModel.objects.filter(pk=model.pk).update(wants_questions_at=now)
        wake(TASK_NAME)
    return len(asked), [key for key in given if key not in asked]


def _ask_a_second(model: MatchModel, answers: int, actor: str, now: datetime) -> None:
    """Ask again, after every tenth answer of somebody, what only somebody else has answered: how far do they agree?"""
    labels = MatchLabel.objects.filter(model=model, origin=MatchLabel.Origin.QUESTION)
    given = labels.filter(actor=actor).count()
    if given // SECOND_EACH == (given - answers) // SECOND_EACH:
        return
    said = labels.exclude(answer=MatchLabel.Answer.UNSURE)
    once = said.values("left_node", "right_node").annotate(by=Count("actor"), whose=Min("actor"))
    asked = set(MatchQuestion.objects.filter(model=model).values_list("left_node", "right_node"))
    pairs = {(one["left_node"], one["right_node"]) for one in once.filter(by=1).exclude(whose=actor)} - asked
    for left, right in sorted(pairs - find_unaskable(pairs))[:1]:
        # Somebody else may come to the same pair at this moment.
        again = MatchQuestion(model=model, left_node=left, right_node=right, asked_at=now)
        MatchQuestion.objects.bulk_create([again], ignore_conflicts=True)


def give_labels(*, model: MatchModel, labels: Sequence[GivenLabel], actor: str, now: datetime) -> int:
    """Take in answers about pairs of records that nobody asked about.

    Raises
    ------
    BadModel
        If a record is unknown, a pair is one record, or two of one source are to be the same in a model that links.
    """
    spec = spec_of(model)
    nodes = find_nodes([name for one in labels for name in (one.left, one.right)], sources=spec.sources)
    sources = _sources_of(spec, nodes.values())
    faults = []
    rows = []
    for number, one in enumerate(labels):
        left, right = nodes.get(one.left), nodes.get(one.right)
        if left is None or right is None:
            side = "left" if left is None else "right"
            faults.append(FieldError(f"pairs[{number}].{side}", "matching.unknown_record", "There is no such record."))
        elif left == right:
            faults.append(FieldError(f"pairs[{number}]", "matching.one_record", "Both are one record."))
        elif one.answer == MatchLabel.Answer.SAME and left in sources and sources[left] == sources.get(right):
            message = "Both are of one source, and the model links different ones."
            faults.append(FieldError(f"pairs[{number}]", "matching.one_source", message))
        else:
            rows.append((min(left, right), max(left, right), one.answer))
    if faults:
        message = "Some pairs cannot be labelled."
        raise BadModel(message, errors=faults)
    with transaction.atomic():
        _write_labels(model, rows, origin=MatchLabel.Origin.GIVEN, actor=actor, now=now)
        audit.record(
            actor=actor,
            action="matching_model.labelled",
            object=f"matching_model:{model.key}",
            detail={"labels": len(rows)},
            now=now,
        )
    return len(rows)


def _sources_of(spec: ModelSpec, nodes: Iterable[int]) -> dict[int, int]:
    """Return the source of each imported record where a model links sources; nothing where it does not matter."""
    if spec.mode != "link":
        return {}
    records = Identifier.objects.filter(pk__in=set(nodes), type__key=RECORD_TYPE)
    return dict(records.values_list("pk", "source_id"))


def write_labels(
    *, model: MatchModel, pairs: Iterable[tuple[int, int]], answer: str, origin: str, actor: str, now: datetime
) -> None:
    """Note what somebody said of some pairs, the same of all, in the caller's transaction."""
    _write_labels(model, [(*pair, answer) for pair in pairs], origin=origin, actor=actor, now=now)


def _write_labels(
    model: MatchModel, rows: Sequence[tuple[int, int, str]], *, origin: str, actor: str, now: datetime
) -> None:
    distinct = {(left, right): answer for left, right, answer in rows}
    MatchLabel.objects.bulk_create(
        [
            MatchLabel(
                model=model,
                left_node=left,
                right_node=right,
                answer=answer,
                origin=origin,
                actor=actor,
                answered_at=now,
            )
            for (left, right), answer in distinct.items()
        ],
        update_conflicts=True,
        unique_fields=["model", "left_node", "right_node", "actor"],
        update_fields=["answer", "origin", "answered_at"],
    )


def undo_answer(*, model: MatchModel, actor: str, now: datetime) -> MatchQuestion | None:
    """Take somebody's last answer back and ask again; None if there is none."""
    with transaction.atomic():
        last = (
            MatchLabel.objects.select_for_update()
            .filter(model=model, actor=actor, origin=MatchLabel.Origin.QUESTION)
            .order_by("-answered_at", "-id")
            .first()
        )
        if last is None:
            return None
        question, _ = MatchQuestion.objects.get_or_create(
            model=model, left_node=last.left_node, right_node=last.right_node, defaults={"asked_at": now}
        )
        last.delete()
    return question
