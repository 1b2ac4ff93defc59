"""A run of Splink within the worker: without labels it begins the queue and the questions; later it is a challenger.

It joins nothing, and nothing of it comes into force. Where a version is in force, it is measured on the labels that
that one knew, and pairs on which the two disagree are asked about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction

from cdp.core.services import audit
from profiles.errors import ChallengerFailed
from profiles.matching.evaluating import measure_labels
from profiles.matching.model import Scored, TrainedModel, read_model, score_pairs
from profiles.matching.spec import ModelSpec, write_spec
from profiles.matching.splink import (
    THRESHOLD,
    Splink,
    SplinkFailure,
    fitted_splink,
    library_versions,
    rules_without_labels,
    run_splink,
)
from profiles.matching.table import Array
from profiles.matching_models import MatchModel, MatchQuestion, MatchRun, MatchVersion
from profiles.queries.matching_records import Records
from profiles.services.matching_figures import Meter, figures_of
from profiles.services.matching_gone import forget_gone
from profiles.services.matching_learning import forget_unaskable, read_answers, read_labelled
from profiles.services.matching_models import spec_of
from profiles.services.matching_queue import best_undecided, fill_queue
from profiles.services.matching_results import store_found
from profiles.services.matching_runs import guard_of, last_change, load_table, read_decided
from profiles.services.matching_versions import frozen_pairs, measure_frozen, read_version, write_version

ENGINE = MatchRun.Engine.SPLINK
# Asked about for each end of what may be learned: sure ones, open ones, unlikely ones; or each way of disagreeing.
ASKED_OF_EACH = 10
SURE, UNLIKELY = 0.95, 0.05


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labelled pairs as rows of a table.

    Attributes
    ----------
    left, right : numpy.ndarray of int
    truth, frozen : numpy.ndarray of bool
        What people said, and whether the version in force knew it.
    """

    left: Array
    right: Array
    truth: Array
    frozen: Array


def run_challenger(*, run: MatchRun, now: datetime) -> None:
    """Fit Splink to the records of the run's model, match them, and keep what was found.

    Raises
    ------
    ChallengerFailed
        If there is too little to learn from, or memory is at its end.
    """
    meter = Meter()
    model = run.model
    spec = spec_of(model)
    live = read_model(read_version(model=model, version=model.live_version)) if model.live_version else None
    seen = last_change(now)
    records, table = load_table(spec)
    meter.step("loading")
    must, apart = read_decided(model, records.rows)
    across = spec.mode == "link"
    try:
        with fitted_splink(table, across=across, seed=model.seed) as made:
            meter.step("fitting")
            # The same candidates as those of the version in force, so that only the scores differ.
            rules = live.rules if live else rules_without_labels(made, table, across=across, seed=model.seed)
            guard = guard_of(spec, table, records, apart)
            scored = run_splink(made, table, rules, across=across, forbidden=guard, must=must)
            measured = _measure(made, _labelled(model, records))
            best = np.empty(0, np.int64)
            if live is None:
                best = best_undecided(scored, table, guard, must, least=THRESHOLD / 2)
            told = made.contributions(scored.candidates.left[best], scored.candidates.right[best])
            fitted = {"settings": made.settings, "rules": [rule.label for rule in rules]}
    except SplinkFailure as error:
        raise ChallengerFailed(str(error)) from error
    meter.step("matching")
    version = _keep_version(model, spec, {**fitted, "measured": measured}, now)
    names = store_found(run, spec, records, scored)
    if live is None:
        fill_queue(model=model, records=records, scored=scored, best=best, told=told, now=now)
        asked = _informative(scored, np.random.default_rng(model.seed))
        beside = None
        # Who objects from here on leaves the queue as soon as the worker looks.
        MatchModel.objects.filter(pk=model.pk).update(matched_change_id=seen)
    else:
        ours = score_pairs(live.weights, table, scored.candidates.left, scored.candidates.right)
        asked = _disagreeing(scored, ours, live)
        beside = _beside(scored, ours, live, model.live_version)
    _ask(model, records, scored, asked, now)
    forget_gone(model=model, ids=records.ids)
    meter.step("storing")
    run.version = version.version
    run.figures = {
        **meter.read(),
        **figures_of(scored, table, must),
        "records": names,
        "labels_used": 0,
        "auto_link": None,
        "beside": beside,
    }
    MatchRun.objects.filter(pk=run.pk).update(figures=run.figures, version=run.version)


def _labelled(model: MatchModel, records: Records) -> Labelled:
    labelled = read_labelled(model, records.rows)
    frozen = frozen_pairs(model)
    known = [(*one, nodes in frozen) for nodes, one in labelled.items() if one[2] is not None]
    return Labelled(
        np.array([left for left, _, _, _ in known], np.int64),
        np.array([right for _, right, _, _ in known], np.int64),
        np.array([truth for _, _, truth, _ in known], bool),
        np.array([is_frozen for _, _, _, is_frozen in known], bool),
    )


def _measure(made: Splink, labelled: Labelled) -> dict[str, Any]:
    found = made.probabilities(labelled.left, labelled.right)
    return {
        **measure_labels(labelled.left, labelled.right, found, labelled.truth, threshold=THRESHOLD),
        **measure_frozen(found[labelled.frozen], labelled.truth[labelled.frozen], threshold=THRESHOLD),
    }


def _keep_version(model: MatchModel, spec: ModelSpec, fitted: Mapping[str, Any], now: datetime) -> MatchVersion:
    stored = {"engine": ENGINE, "definition": write_spec(spec), "threshold": THRESHOLD, "libraries": library_versions()}
    with transaction.atomic():
        made = write_version(model=model, stored={**stored, **fitted}, labels=0, auto_link=None, now=now, engine=ENGINE)
        audit.record(
            actor="system",
            action="matching_model.challenged",
            object=f"matching_model:{model.key}",
            detail={"version": made.version, "engine": ENGINE},
            now=now,
        )
    return made


def _informative(scored: Scored, rng: np.random.Generator) -> Array:
    """Return places of candidates to begin with: those that it is unsure of, some that it holds sure, some unlikely."""
    likely = scored.probability
    unsure = np.argsort(np.abs(likely - THRESHOLD), kind="stable")[:ASKED_OF_EACH]
    found = [unsure]
    for places in (np.nonzero(likely >= SURE)[0], np.nonzero(likely < UNLIKELY)[0]):
        free = np.setdiff1d(places, unsure)
        found.append(rng.choice(free, min(ASKED_OF_EACH, len(free)), replace=False))
    return np.concatenate(found)


def _disagreeing(scored: Scored, ours: Array, live: TrainedModel) -> Array:
    """Return places of candidates that one of the two takes for one person and the other does not, the clearest."""
    apart = np.abs(scored.probability - ours)
    theirs_only = np.nonzero((scored.probability >= THRESHOLD) & (ours < live.threshold))[0]
    ours_only = np.nonzero((scored.probability < THRESHOLD) & (ours >= live.threshold))[0]
    return np.concatenate(
        [places[np.argsort(-apart[places], kind="stable")][:ASKED_OF_EACH] for places in (theirs_only, ours_only)]
    )


def _beside(scored: Scored, ours: Array, live: TrainedModel, version: int | None) -> dict[str, Any]:
    """Return how many of the candidates both take for one person, and how many only one of the two does."""
    theirs, in_force = scored.probability >= THRESHOLD, ours >= live.threshold
    return {
        "version": version,
        "both": int((theirs & in_force).sum()),
        "only_in_force": int((in_force & ~theirs).sum()),
        "only_challenger": int((theirs & ~in_force).sum()),
    }


def _ask(model: MatchModel, records: Records, scored: Scored, places: Array, now: datetime) -> None:
    """Put questions that nobody has answered yet; those whose records went meanwhile are taken back."""
    nodes = records.nodes
    pairs = {
        tuple(sorted((nodes[int(scored.candidates.left[one])], nodes[int(scored.candidates.right[one])])))
        for one in places
    }
    fresh = sorted(pairs - read_answers(model).keys())
    MatchQuestion.objects.bulk_create(
        [MatchQuestion(model=model, left_node=left, right_node=right, asked_at=now) for left, right in fresh],
        ignore_conflicts=True,
    )
    forget_unaskable(model)
