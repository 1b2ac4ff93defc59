"""The worker of matching: one at a time does what models and runs wait for. Rows own all progress.

It alone imports the packages of matching, when there is something to do.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.db import DatabaseError, connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from cdp.core import locks
from cdp.core.connections import database_is_away
from cdp.core.errors import CdpError
from profiles.matching_models import MatchKey, MatchModel, MatchRun
from profiles.services.matching_models import is_matching_on

log = logging.getLogger("cdp.matching")

Clock = Callable[[], datetime]
Step = MatchModel.Step
KEPT_DAYS = 14
LOOK_SECONDS = 10.0
# After so long without a look, or in a new process, some may have been missed.
AWAY_SECONDS = 3_600.0
# A run that ends the worker, as where memory is at its end, would be taken up for ever, before everything else.
MOST_BEGUN = 5
# What data that nobody thought of makes the libraries raise: a model that fails must not stop the others.
FAULTS = (
    CdpError,
    DatabaseError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


def work_matching(*, clock: Clock) -> int:
    """Do everything that waits, and return how many steps there were; 0 at once while another process is at it."""
    if not is_matching_on() or not (count_matching_work() or _may_look()):
        return 0
    steps = 0
    with connection.cursor() as cursor, locks.hold(cursor, locks.MATCHING, wait=False) as held:
        if not held:
            return 0
        while _step(clock):
            steps += 1
        steps += _follow(clock)
    return steps


def count_matching_work() -> int:
    """Return how many models and runs wait for the worker."""
    models = MatchModel.objects.filter(Q(wants_questions_at__isnull=False) | Q(wants_training_at__isnull=False))
    return models.count() + _waiting_runs().count() + _unprepared().count()


def _waiting_runs() -> QuerySet[MatchRun]:
    # Running, and no process holds the lock: its worker died.
    return MatchRun.objects.filter(
        status__in=(MatchRun.Status.QUEUED, MatchRun.Status.RUNNING, MatchRun.Status.APPLYING)
    )


def _runs_in_force() -> QuerySet[MatchRun]:
    """Return the runs whose model newcomers follow: those of a challenger leave nothing behind."""
    return MatchRun.objects.filter(engine=MatchRun.Engine.DEDUPE)


def _unprepared() -> QuerySet[MatchModel]:
    """Return the models whose last run is done and has no block keys stored, or those of an earlier version."""
    done = _runs_in_force().filter(model=OuterRef("pk"), status=MatchRun.Status.DONE).order_by("-id")
    models = MatchModel.objects.annotate(last_run_id=Subquery(done.values("id")[:1]))
    return models.filter(last_run_id__isnull=False).exclude(followed_run_id=F("last_run_id"))


def _step(clock: Clock) -> bool:
    """Do the most urgent: training, then runs, then questions."""
    model = MatchModel.objects.filter(wants_training_at__isnull=False).order_by("wants_training_at", "id").first()
    if model is not None:
        _train(model, clock)
        return True
    run = _waiting_runs().select_related("model").order_by("id").first()
    if run is not None:
        _run(run, clock)
        return True
    model = _unprepared().order_by("id").first()
    if model is not None:
        _prepare(model)
        return True
    model = MatchModel.objects.filter(wants_questions_at__isnull=False).order_by("wants_questions_at", "id").first()
    if model is not None:
        _ask(model, clock)
        return True
    return False


class _Looked:
    """When this process last looked for newcomers."""

    at = float("-inf")


def _may_look() -> bool:
    """Tell whether there is a model that follows, and it is time to look."""
    return time.monotonic() - _Looked.at >= LOOK_SECONDS and _following().exists()


def _following() -> QuerySet[MatchModel]:
    """Return the models that newcomers are compared for, and those whose queue Splink began: people leave that, too."""
    has_keys = Exists(MatchKey.objects.filter(model=OuterRef("pk")))
    begun = MatchRun.objects.filter(model=OuterRef("pk"), engine=MatchRun.Engine.SPLINK, status=MatchRun.Status.DONE)
    return MatchModel.objects.filter(Q(has_keys, live_version__isnull=False) | Q(Exists(begun)))


def _follow(clock: Clock) -> int:
    """Compare those who came or changed, for each model that has matched before; fill its queue where few are left."""
    if not _may_look():
        return 0
    from profiles.services.matching_newcomers import (  # noqa: PLC0415 - its packages may be missing
        match_missed,
        match_newcomers,
    )
    from profiles.services.matching_refilling import refill_queue  # noqa: PLC0415 - as above

    was_away = time.monotonic() - _Looked.at > AWAY_SECONDS
    _Looked.at = time.monotonic()
    done = 0
    for model in _following():
        if was_away and _guarded(model, Step.FOLLOWING, partial(match_missed, model=model, now=clock())):
            return done + 1
        for act in (match_newcomers, refill_queue):
            while _guarded(model, Step.FOLLOWING, partial(act, model=model, now=clock())):
                done += 1
                if count_matching_work():
                    return done
    return done


def _ask(model: MatchModel, clock: Clock) -> None:
    from profiles.services.matching_learning import fill_questions  # noqa: PLC0415 - its packages may be missing

    wanted = model.wants_questions_at
    more = _guarded(model, Step.QUESTIONS, lambda: fill_questions(model=model, now=clock()))
    if not more:
        # Somebody may have answered meanwhile: then the wish has another time, and stays.
        MatchModel.objects.filter(pk=model.pk, wants_questions_at=wanted).update(wants_questions_at=None)


def _train(model: MatchModel, clock: Clock) -> None:
    from profiles.services.matching_learning import train  # noqa: PLC0415 - as above

    wanted = model.wants_training_at
    _guarded(model, Step.TRAINING, lambda: train(model=model, now=clock()))
    MatchModel.objects.filter(pk=model.pk, wants_training_at=wanted).update(wants_training_at=None)


def _guarded(model: MatchModel, step: str, act: Callable[[], object]) -> object:
    try:
        return act()
    except FAULTS as error:
        if database_is_away(error):
            raise
        log.warning("a model failed: %s", type(error).__name__, extra={"model": model.pk})
        MatchModel.objects.filter(pk=model.pk).update(
            status=MatchModel.Status.FAILED, error=_say(error), failed_step=step
        )
        return None


def _run(run: MatchRun, clock: Clock) -> None:
    run.model.refresh_from_db()
    is_challenger = run.engine == MatchRun.Engine.SPLINK
    # One that came into force since it was asked for is meant as well: newcomers are compared by that one.
    version = 0 if is_challenger else run.model.live_version
    if version is None:
        _end(run, clock(), error="The model could not be trained.")
        return
    begun = run.figures.get("begun", 0) + 1
    run.records.all().delete()
    run.pairs.all().delete()
    if begun > MOST_BEGUN:
        _end(run, clock(), error=f"The worker ended {MOST_BEGUN} times while it was at it: is there memory enough?")
        return
    run.version, run.started_at, run.figures = version, clock(), {"begun": begun}
    MatchRun.objects.filter(pk=run.pk).update(
        status=MatchRun.Status.RUNNING, version=version, started_at=run.started_at, figures=run.figures
    )
    try:
        follow = _challenge(run, clock) if is_challenger else _match(run, clock)
    except FAULTS as error:
        if database_is_away(error):
            raise
        log.warning("a run failed: %s", type(error).__name__, extra={"run": run.pk})
        _end(run, clock(), error=_say(error))
        return
    _end(run, clock())
    follow()


def _match(run: MatchRun, clock: Clock) -> Callable[[], None]:
    """Match with a trained version; return what is done once the run is over."""
    from profiles.services.matching_runs import prepare_following, run_match  # noqa: PLC0415 - as above

    basis = run_match(run=run, now=clock())

    def follow() -> None:
        _guarded(run.model, Step.FOLLOWING, lambda: prepare_following(basis))
        MatchModel.objects.filter(pk=run.model_id).update(followed_run_id=run.pk)

    return follow


def _challenge(run: MatchRun, clock: Clock) -> Callable[[], None]:
    """Match with Splink; return that nothing is left to be done."""
    from profiles.services.matching_challenging import run_challenger  # noqa: PLC0415 - as above

    run_challenger(run=run, now=clock())
    return lambda: None


def _prepare(model: MatchModel) -> None:
    """Store block keys where a worker ended before it had, or a version came into force whose rules are others.

    Nobody would be compared otherwise.
    """
    from profiles.services.matching_runs import prepare_following, read_basis  # noqa: PLC0415 - as above

    run = _runs_in_force().filter(model=model, status=MatchRun.Status.DONE).select_related("model").latest("id")
    _guarded(model, Step.FOLLOWING, lambda: prepare_following(read_basis(run)))
    MatchModel.objects.filter(pk=model.pk).update(followed_run_id=run.pk)


def _end(run: MatchRun, now: datetime, *, error: str = "") -> None:
    status = MatchRun.Status.FAILED if error else MatchRun.Status.DONE
    MatchRun.objects.filter(pk=run.pk).update(status=status, error=error, finished_at=now)


def _say(error: Exception) -> str:
    """Say what went wrong without quoting data."""
    return error.message if isinstance(error, CdpError) else f"It failed ({type(error).__name__})."


def forget_old_runs(now: datetime) -> None:
    """Delete runs whose time is up, except the last of each model, and of its challenger, and the last that is done."""
    newest = MatchRun.objects.order_by("model_id", "engine", "-id").distinct("model_id", "engine")
    last = {
        pk for runs in (newest, newest.filter(status=MatchRun.Status.DONE)) for pk in runs.values_list("pk", flat=True)
    }
    MatchRun.objects.filter(finished_at__lt=now - timedelta(days=KEPT_DAYS)).exclude(pk__in=last).delete()
