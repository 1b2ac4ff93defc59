"""Matching models: made, answered, told to train and to run. The worker of matching does what is asked for here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Min

from cdp.core.errors import FieldError
from cdp.core.services import audit
from cdp.core.services.wakeups import wake
from profiles.errors import BadModel, ChallengerIsOff, MatchingIsOff, ModelExists, NoSuchModel, NotTrained
from profiles.matching.spec import ModelSpec, read_spec, write_spec
from profiles.matching_models import MatchLabel, MatchModel, MatchQuestion, MatchRun
from profiles.models import Identifier
from profiles.queries.matching_records import RECORD_TYPE, find_nodes, find_unaskable, source_ids
from profiles.queries.sealed import find_sealed_names

TASK_NAME = "profiles.match"
MOST_AT_ONCE = 10_000
# Who answered within so long of each other answer at the same time.
TOGETHER = timedelta(minutes=10)
SECOND_EACH = 10
ANSWERS = tuple(MatchLabel.Answer.values)


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """An answer about two records that somebody named."""

    left: str
    right: str
    answer: str


def is_matching_on() -> bool:
    """Tell whether the packages of matching are installed."""
    return find_spec("dedupe") is not None


def require_matching() -> None:
    """Refuse where the packages of matching are missing.

    Raises
    ------
    MatchingIsOff
        If so.
    """
    if not is_matching_on():
        message = "Fuzzy matching is off: its packages are not installed. `make up` says which compiler they need."
        raise MatchingIsOff(message)


def is_splink_on() -> bool:
    """Tell whether Splink is installed, which begins without labels and challenges what was learned."""
    return is_matching_on() and all(find_spec(name) is not None for name in ("splink", "duckdb"))


def require_splink() -> None:
    """Refuse where Splink is missing.

    Raises
    ------
    ChallengerIsOff
        If so.
    """
    if not is_splink_on():
        message = "Splink is not installed here: `make up` installs it, and says what is missing if it cannot."
        raise ChallengerIsOff(message)


def get_model(*, key: str) -> MatchModel:
    """Return the model of a key.

    Raises
    ------
    NoSuchModel
        If there is none.
    MatchingIsOff
        Without the packages of matching.
    """
    require_matching()
    found = MatchModel.objects.filter(key=key).first()
    if found is None:
        message = "No matching model has this key."
        raise NoSuchModel(message)
    return found


def spec_of(model: MatchModel) -> ModelSpec:
    """Return what a stored model matches."""
    spec, faults = read_spec(model.definition)
    if spec is None:
        message = "The stored model is not valid."
        raise BadModel(message, errors=faults)
    return spec


def create_model(*, definition: Any, actor: str, now: datetime) -> MatchModel:
    """Make a model; the worker prepares its first questions.

    Raises
    ------
    BadModel
        If the definition has faults, an unknown source included.
    ModelExists
        If there is one of this key. The same definition again gives the model that there is.
    MatchingIsOff
        Without the packages of matching.
    """
    require_matching()
    spec, faults = read_spec(definition)
    if spec is None:
        message = "The model has faults."
        raise BadModel(message, errors=faults)
    known = source_ids(spec.sources)
    faults = [
        FieldError(f"sources[{number}]", "matching.unknown_source", "There is no source of this key.")
        for number, key in enumerate(spec.sources)
        if key not in known
    ]
    sealed = find_sealed_names()
    faults += [
        FieldError(f"fields[{number}].trait", "matching.sealed_trait", "It is stored encrypted: nothing compares it.")
        for number, field in enumerate(spec.fields)
        if field.trait in sealed
    ]
    if faults:
        message = "The model names sources or traits that it cannot use."
        raise BadModel(message, errors=faults)
    try:
        with transaction.atomic():
            made = MatchModel.objects.create(
                key=spec.key,
                name=spec.name,
                definition=write_spec(spec),
                wants_questions_at=now,
                created_at=now,
                created_by=actor,
            )
            audit.record(actor=actor, action="matching_model.created", object=f"matching_model:{spec.key}", now=now)
            wake(TASK_NAME)
    except IntegrityError as error:
        message = "A matching model of this key exists."
        raise ModelExists(message) from error
    return made


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
    """Return the questions about people who may be matched now, in their order."""
    found = list(questions)
    barred = find_unaskable({node for one in found for node in (one.left_node, one.right_node)})
    return [one for one in found if one.left_node not in barred and one.right_node not in barred]


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
    for one in once.filter(by=1).exclude(whose=actor).order_by("left_node", "right_node"):
        pair = one["left_node"], one["right_node"]
        if pair not in asked:
            MatchQuestion.objects.create(model=model, left_node=pair[0], right_node=pair[1], asked_at=now)
            return


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


def ask_training(*, model: MatchModel, actor: str, now: datetime) -> MatchModel:
    """Have the worker train on every label.

    Raises
    ------
    NotTrained
        Without labels of both kinds.
    """
    require_matching()
    kinds = set(MatchLabel.objects.filter(model=model).values_list("answer", flat=True)) - {"unsure"}
    if len(kinds) < 2:
        message = "Training needs pairs that are the same and pairs that are different: answer more questions first."
        raise NotTrained(message)
    with transaction.atomic():
        MatchModel.objects.filter(pk=model.pk).update(
            wants_training_at=now, status=MatchModel.Status.TRAINING, error=""
        )
        audit.record(actor=actor, action="matching_model.training", object=f"matching_model:{model.key}", now=now)
        wake(TASK_NAME)
    model.refresh_from_db()
    return model


def start_match_run(
    *, model: MatchModel, apply: bool, actor: str, now: datetime, engine: str = MatchRun.Engine.DEDUPE
) -> MatchRun:
    """Have the worker match all records with the version in force, or with the one that is being trained.

    Parameters
    ----------
    engine : str
        ``dedupe``, or ``splink``: fitted without labels, it joins nothing.

    Raises
    ------
    NotTrained
        If the model was never told to train.
    ChallengerIsOff
        If Splink is asked for, and not installed.
    BadModel
        If what Splink finds is to be joined.
    """
    require_matching()
    if engine == MatchRun.Engine.SPLINK:
        require_splink()
        if apply:
            message = "What Splink finds is looked at, never joined unseen: no labels have shown how often it is right."
            raise BadModel(message, errors=[FieldError("apply", "matching.challenger_joins_nothing", message)])
    elif model.live_version is None and model.wants_training_at is None:
        message = "The model is not trained yet."
        raise NotTrained(message)
    with transaction.atomic():
        run = MatchRun.objects.create(
            model=model,
            version=model.live_version or 0 if engine == MatchRun.Engine.DEDUPE else 0,
            engine=engine,
            apply=apply,
            created_at=now,
            created_by=actor,
        )
        audit.record(
            actor=actor,
            action="matching_run.started",
            object=f"matching_run:{run.pk}",
            detail={"model": model.key, "apply": apply, "engine": engine},
            now=now,
        )
        wake(TASK_NAME)
    return run
