"""Matching models: made, told to train and to run. The worker of matching does what is asked for here."""

from datetime import datetime
from importlib.util import find_spec
from typing import Any

from django.db import IntegrityError, transaction

from cdp.core.errors import FieldError
from cdp.core.services import audit
from cdp.core.services.wakeups import wake
from profiles.errors import BadModel, ChallengerIsOff, MatchingIsOff, ModelExists, NoSuchModel, NotTrained
from profiles.matching.spec import ModelSpec, read_spec, write_spec
from profiles.matching_models import MatchLabel, MatchModel, MatchRun
from profiles.queries.matching_records import source_ids
from profiles.queries.sealed import find_sealed_names

TASK_NAME = "profiles.match"


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
        If there is one of this key, of the same definition or another.
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
            wants_training_at=now, status=MatchModel.Status.TRAINING, error="", failed_step=""
        )
        audit.record(actor=actor, action="matching_model.training", object=f"matching_model:{model.key}", now=now)
        wake(TASK_NAME)
    model.refresh_from_db()
    return model


def start_match_run(
    *, model: MatchModel, apply: bool, actor: str, now: datetime, engine: str = MatchRun.Engine.DEDUPE
) -> MatchRun:
    """Have the worker match all records with the version that is in force when it comes to the run.

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
