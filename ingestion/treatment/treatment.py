"""All that one source does to its messages, compiled: what `ingestion.services.treating` holds per process."""

from dataclasses import dataclass

from ingestion.treatment.transformations import Transformations

FILTERED = "filtered"
UNUSABLE = "treatment_unusable"


@dataclass(frozen=True, slots=True)
class Treatment:
    """The compiled parts; None where the source has none.

    `is_unusable`: a saved definition does not compile with this version of the product, so no message may pass by it.
    """

    transformations: Transformations | None = None
    is_unusable: bool = False
