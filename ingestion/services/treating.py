"""Applying what a source does to its messages: compiled once per version, kept in the process."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ingestion.errors import InvalidTreatment
from ingestion.models import Source, TreatmentKind, TreatmentVersion
from ingestion.spec.identifiers import IdentifierRules
from ingestion.spec.item import read_item, sent_message_id
from ingestion.spec.message import Fault, Message
from ingestion.spec.split import Batch
from ingestion.treatment.cleaning import compile_cleaning
from ingestion.treatment.plans import ALLOW, compile_plan
from ingestion.treatment.transformations import compile_transformations
from ingestion.treatment.treatment import FILTERED, UNUSABLE, Treated, Treatment

logger = logging.getLogger("cdp.ingestion")

Versions = tuple[int, int, int]
_compiled: dict[int, tuple[Versions, Treatment | None]] = {}


def find_treatment(source: Source) -> Treatment | None:
    """Return what a source does to its messages; None if nothing. Asks the database once per version and process."""
    versions = (source.transformations_version, source.plan_version, source.cleaning_version)
    if versions == (0, 0, 0):
        return None
    known = _compiled.get(source.pk)
    if known is None or known[0] != versions:
        known = _compiled[source.pk] = (versions, _load(source, versions))
    return known[1]


def _load(source: Source, versions: Versions) -> Treatment | None:
    wanted = dict(zip(TreatmentKind, versions, strict=True))
    definitions = {
        row.kind: row.definition
        for row in TreatmentVersion.objects.filter(source=source)
        if wanted[TreatmentKind(row.kind)] == row.version
    }
    try:
        transformations = compile_transformations(definitions.get(TreatmentKind.TRANSFORMATIONS, {}))
        plan = compile_plan(definitions.get(TreatmentKind.PLAN, {}))
        cleaning = compile_cleaning(definitions.get(TreatmentKind.CLEANING, {}))
    except InvalidTreatment as error:
        logger.error("treatment of source %s cannot be used: %s", source.key, error.code)
        return Treatment(is_unusable=True)
    found = Treatment(
        transformations if transformations.steps else None,
        None if plan.is_empty else plan,
        cleaning if cleaning.steps else None,
    )
    return None if found.is_empty else found


def forget_treatments() -> None:
    """Forget what this process compiled."""
    _compiled.clear()


def read_treated(  # noqa: PLR0913 - what read_item takes, and the treatment
    item: Any,
    treatment: Treatment,
    *,
    batch: Batch,
    received_at: datetime,
    max_event_bytes: int,
    rules: IdentifierRules,
    new_id: Callable[[], str],
    treated: Treated | None = None,
) -> Message | Fault:
    """Read an item as `read_item` does, with the source's transformations before it, plan and cleaning within it.

    Parameters
    ----------
    item : object
        It is used up. A link call passes unchanged: it says nothing but which two identifiers belong together.
    treated : Treated or None
        Takes what plan and cleaning find. With it, a message that the plan stops is returned as read all the same, so
        that the caller learns whose it is; without it, as a fault.
    """
    treat = treated if treated is not None else Treated(treatment, batch.context)
    if isinstance(item, dict) and batch.endpoint_type != "merge":
        if treatment.is_unusable:
            return Fault(
                UNUSABLE,
                "The transformations, plan or cleaning of this source cannot be used any more: save them again.",
                sent_message_id(item),
            )
        if treatment.transformations is not None and not treatment.transformations.run(item, batch.endpoint_type):
            return Fault(FILTERED, "A transformation of this source filters this message out.", sent_message_id(item))
    read = read_item(
        item,
        batch=batch,
        received_at=received_at,
        max_event_bytes=max_event_bytes,
        rules=rules,
        new_id=new_id,
        treat=treat,
    )
    if treated is None and treat.action != ALLOW and not isinstance(read, Fault):
        return Fault(*treat.reason(), read.message_id)
    return read
