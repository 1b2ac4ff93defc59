"""The learner of a model within the worker: its questions, and training. Imported by the worker only.

One process holds learners, each made from the rows of the database and thrown away when the labels that it was made
from are no longer all. No request waits for it.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction

from cdp.core.services import audit
from profiles.errors import NotTrained
from profiles.matching.learner import Learner
from profiles.matching.model import write_model
from profiles.matching.pool import make_pool
from profiles.matching.spec import ModelSpec
from profiles.matching.table import MISSING, Table, make_table
from profiles.matching.training import train_model
from profiles.matching_models import MatchLabel, MatchModel, MatchQuestion, MatchVersion
from profiles.queries.matching_records import Records, find_unaskable, load_records, read_decisions, read_holders
from profiles.services.matching_models import spec_of
from profiles.services.matching_versions import frozen_pairs, measure_frozen, promote, write_version

OPEN_QUESTIONS = 30
AT_ONCE = 10
# After so many answers, a learner is made anew: its pool then holds what came in meanwhile.
FRESH_SECONDS = 3600.0
BOTH = 2


@dataclass(slots=True)
class Held:
    """A learner with the records that it was made from."""

    learner: Learner
    records: Records
    rows: dict[int, int]
    made_at: datetime


_held: dict[int, Held] = {}


def table_of(spec: ModelSpec, records: Records) -> Table:
    """Return records as a table."""
    groups = np.asarray(records.sources, np.int32) if spec.mode == "link" else None
    return make_table(fields=spec.fields, columns=records.columns, size=len(records), groups=groups)


def forget_learners() -> None:
    """Throw every learner away: a large run needs the memory, and they are made anew from the rows."""
    _held.clear()


def _hold(model: MatchModel, now: datetime) -> Held:
    held = _held.get(model.pk)
    if held is not None and (now - held.made_at).total_seconds() < FRESH_SECONDS:
        return held
    spec = spec_of(model)
    records = load_records(sources=spec.sources, traits=[field.trait for field in spec.fields])
    table = table_of(spec, records)
    pool = make_pool(table, across=spec.mode == "link", rng=np.random.default_rng(model.seed))
    # One learner at a time: a pool of a million records is some hundred megabytes.
    _held.clear()
    _held[model.pk] = held = Held(Learner(pool, seed=model.seed), records, records.rows, now)
    return held


def read_answers(model: MatchModel) -> dict[tuple[int, int], bool | None]:
    """Return for each labelled pair of nodes what most said; None where they disagree, or are unsure."""
    votes: dict[tuple[int, int], Counter[str]] = {}
    for left, right, answer in MatchLabel.objects.filter(model=model).values_list("left_node", "right_node", "answer"):
        votes.setdefault((left, right), Counter())[answer] += 1
    return {
        pair: None if count["same"] == count["different"] else count["same"] > count["different"]
        for pair, count in votes.items()
    }


def read_labelled(model: MatchModel, rows: Mapping[int, int]) -> dict[tuple[int, int], tuple[int, int, bool | None]]:
    """Return for labelled pairs of nodes the rows of both profiles, and what most said.

    Pairs that are one profile by now, or no longer there, are left out. What was taken apart since, by an undo or by
    somebody's word, is different whatever was said before.
    """
    answers = read_answers(model)
    holders = read_holders({node for pair in answers for node in pair})
    _, blocked = read_decisions(model.pk, set(holders.values()))
    apart = {frozenset(pair) for pair in blocked}
    found: dict[tuple[int, int], tuple[int, int, bool | None]] = {}
    for (left, right), answer in answers.items():
        one, other = holders.get(left, 0), holders.get(right, 0)
        if one != other and one in rows and other in rows:
            found[left, right] = rows[one], rows[other], answer and frozenset((one, other)) not in apart
    return found


def _tell(model: MatchModel, held: Held) -> dict[int, tuple[int, int]]:
    """Tell the learner every label; return the nodes of each labelled place."""
    labelled = read_labelled(model, held.rows)
    held.learner.add([(left, right) for left, right, _ in labelled.values()])
    places: dict[int, tuple[int, int]] = {}
    said: dict[int, bool | None] = {}
    for nodes, (left, right, answer) in labelled.items():
        place = held.learner.place_of(left, right)
        if place is not None:
            places[place], said[place] = nodes, answer
    for place in set(held.learner.answers) - said.keys():
        # The label is gone: taken back, or erased with its person.
        del held.learner.answers[place]
    held.learner.answer(said)
    return places


def fill_questions(*, model: MatchModel, now: datetime) -> int:
    """Have enough questions open, and return how many were added."""
    held = _hold(model, now)
    _tell(model, held)
    forget_unaskable(model)
    waiting = MatchQuestion.objects.filter(model=model).count()
    added = 0
    if waiting < OPEN_QUESTIONS - AT_ONCE // 2:
        nodes = held.records.nodes
        pool = held.learner.pool
        rows = []
        for place in held.learner.ask(AT_ONCE):
            left, right = nodes[int(pool.left[place])], nodes[int(pool.right[place])]
            rows.append(
                MatchQuestion(model=model, left_node=min(left, right), right_node=max(left, right), asked_at=now)
            )
        MatchQuestion.objects.bulk_create(rows, ignore_conflicts=True)
        # The learner read people some time ago: who has gone, or must be left alone since, is not asked about.
        forget_unaskable(model)
        added = len(rows)
    status = MatchModel.Status.TRAINED if model.live_version else MatchModel.Status.ASKING
    # Why training failed is to be read until it is asked for again.
    settled = MatchModel.objects.filter(pk=model.pk).exclude(failed_step=MatchModel.Step.TRAINING)
    settled.exclude(status=MatchModel.Status.TRAINING).update(status=status, error="", failed_step="")
    return added if waiting + added < OPEN_QUESTIONS - AT_ONCE // 2 else 0


def forget_unaskable(model: MatchModel) -> None:
    """Delete open questions about whoever has gone, is restricted or may not be matched, or became one."""
    questions = {one.pk: (one.left_node, one.right_node) for one in MatchQuestion.objects.filter(model=model)}
    barred = find_unaskable(questions.values())
    dead = [key for key, pair in questions.items() if pair in barred]
    MatchQuestion.objects.filter(pk__in=dead).delete()


def train(*, model: MatchModel, now: datetime) -> MatchVersion:
    """Train on every label, keep the version, and put it in force if it beats the live one."""
    spec = spec_of(model)
    held = _hold(model, now)
    places = _tell(model, held)
    if len(set(held.learner.answers.values())) < BOTH:
        message = (
            "Training needs pairs that are the same and pairs that are different, of records that the model reads and "
            "on which people agree."
        )
        raise NotTrained(message)
    if all((column.codes == MISSING).all() for column in held.learner.pool.table.columns.values()):
        message = "No record has any of the model's traits: are they named as the sources name them?"
        raise NotTrained(message)
    trained = train_model(
        held.learner,
        fields=spec.fields,
        mode=spec.mode,
        precision=spec.auto_link_precision,
        records=len(held.records),
    )
    stored = write_model(trained)
    stored["measured"] = {**stored["measured"], **_measure_frozen(model, held, places)}
    with transaction.atomic():
        made = write_version(
            model=model, stored=stored, labels=len(held.learner.answers), auto_link=trained.auto_link, now=now
        )
        is_live = promote(model=model, version=made, now=now)
        MatchModel.objects.filter(pk=model.pk).update(status=MatchModel.Status.TRAINED, error="", failed_step="")
        audit.record(
            actor="system",
            action="matching_model.trained",
            object=f"matching_model:{model.key}",
            detail={"version": made.version, "labels": made.labels, "in_force": is_live},
            now=now,
        )
    return made


def _measure_frozen(model: MatchModel, held: Held, places: Mapping[int, tuple[int, int]]) -> dict[str, Any]:
    """Measure on the labels that the live version knew, none of which the classifier that is asked has learned from."""
    found, truth = held.learner.held_back()
    frozen = frozen_pairs(model)
    known = np.array([places.get(place) in frozen for place in held.learner.answers], bool)
    return measure_frozen(found[known], truth[known])
