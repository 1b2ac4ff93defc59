"""Saving what a source does to its messages: transformations, tracking plan, cleaning."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction

from cdp.core.errors import FieldError
from cdp.core.services import audit
from ingestion.errors import InvalidTreatment, UnknownSource
from ingestion.models import Source, TreatmentKind, TreatmentVersion
from ingestion.queries.treatments import find_version
from ingestion.treatment.cleaning import Failure as CleaningFailure
from ingestion.treatment.cleaning import compile_cleaning
from ingestion.treatment.normalisers import INVALID
from ingestion.treatment.plans import compile_plan
from ingestion.treatment.transformations import CODE, Failure, compile_transformations

MAX_NOTE_CHARACTERS = 300
MAX_DEFINITION_BYTES = 512 * 1024
FIELDS = {
    TreatmentKind.TRANSFORMATIONS: "transformations_version",
    TreatmentKind.PLAN: "plan_version",
    TreatmentKind.CLEANING: "cleaning_version",
}


def check_transformations(definition: Any) -> None:
    """Compile the transformations and run their tests.

    Raises
    ------
    InvalidTreatment
        Naming the faults, or the tests that fail and where.
    """
    failures = compile_transformations(definition).failures()
    if failures:
        raise InvalidTreatment([_fault_of(failure) for failure in failures])


def _fault_of(failure: Failure) -> FieldError:
    name = f" {failure.name!r}" if failure.name else ""
    outcome = "the message is filtered out" if failure.outcome is None else f"it differs at {failure.differs_at}"
    return FieldError(path=failure.path, code="test.failed", message=f"The test{name} fails: {outcome}.")


def check_plan(definition: Any) -> None:
    """Compile the plan.

    Raises
    ------
    InvalidTreatment
        Naming the faults.
    """
    compile_plan(definition)


def check_cleaning(definition: Any) -> None:
    """Compile the cleaning and run its tests.

    Raises
    ------
    InvalidTreatment
        Naming the faults, or the tests that fail.
    """
    failures = compile_cleaning(definition).failures()
    if failures:
        raise InvalidTreatment([_fault_of_cleaning(failure) for failure in failures])


def _fault_of_cleaning(failure: CleaningFailure) -> FieldError:
    outcome = "the value has no normal form" if failure.outcome is INVALID else "another normal form comes out"
    return FieldError(path=failure.path, code="test.failed", message=f"The test fails: {outcome}.")


CHECKS: dict[TreatmentKind, Callable[[Any], None]] = {
    TreatmentKind.TRANSFORMATIONS: check_transformations,
    TreatmentKind.PLAN: check_plan,
    TreatmentKind.CLEANING: check_cleaning,
}


def save_treatment(
    *, source: str, kind: TreatmentKind, definition: dict[str, Any], note: str = "", actor: str, now: datetime
) -> TreatmentVersion:
    """Check a definition and put it in force; the same again changes nothing.

    Parameters
    ----------
    source : str
        Key of the source.
    definition : dict
        Of the kind; without steps or rules it switches the kind off.
    note : str
        Why, for the history.

    Returns
    -------
    TreatmentVersion
        The version that is in force now. Every process uses it from its next batch on.

    Raises
    ------
    InvalidTreatment
        The definition has faults, or a test in it fails.
    UnknownSource
        There is no such source.
    """
    CHECKS[kind](definition)
    if len(note) > MAX_NOTE_CHARACTERS or "\0" in note:
        message = f"A note has at most {MAX_NOTE_CHARACTERS} characters."
        raise InvalidTreatment([FieldError(path="note", code=CODE, message=message)])
    with transaction.atomic():
        row = Source.objects.select_for_update().filter(key=source.replace("\0", "")).first()
        if row is None:
            message = "No source has this key."
            raise UnknownSource(message)
        current = find_version(source=row, kind=kind)
        if current is not None and current.definition == definition:
            return current
        latest = TreatmentVersion.objects.filter(source=row, kind=kind).order_by("-version").first()
        made = TreatmentVersion.objects.create(
            source=row,
            kind=kind,
            version=latest.version + 1 if latest else 1,
            definition=definition,
            note=note,
            created_at=now,
            created_by=actor,
        )
        Source.objects.filter(pk=row.pk).update(**{FIELDS[kind]: made.version})
        audit.record(
            actor=actor,
            action=f"{kind}.saved",
            object=f"source:{row.key}",
            detail={"version": made.version},
            now=now,
        )
    return made
