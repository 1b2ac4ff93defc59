"""The tables of collection: sources, the inbox, and the outcome of every message."""

from ingestion import alert_models, reconciliation_models  # noqa: F401 - so that Django finds them
from ingestion.models.forwarding import ForwardedCopy, Forwarding
from ingestion.models.imports import Import, ImportChunk, RefusedRow, RowOutcome
from ingestion.models.messages import Archived, Held, InboxEntry, Message, Outcome, OutcomeCount, Quarantined, Replay
from ingestion.models.quality import (
    Discovered,
    FedIdentifier,
    Finding,
    KnownValue,
    QualityAgreement,
    QualityCount,
    QualityRule,
    QualityState,
)
from ingestion.models.sources import Source, TreatmentKind, TreatmentVersion

__all__ = [
    "Archived",
    "Discovered",
    "FedIdentifier",
    "Finding",
    "ForwardedCopy",
    "Forwarding",
    "Held",
    "Import",
    "ImportChunk",
    "InboxEntry",
    "KnownValue",
    "Message",
    "Outcome",
    "OutcomeCount",
    "QualityAgreement",
    "QualityCount",
    "QualityRule",
    "QualityState",
    "Quarantined",
    "RefusedRow",
    "Replay",
    "RowOutcome",
    "Source",
    "TreatmentKind",
    "TreatmentVersion",
]
