"""Reading the versions of transformations, plans and cleaning."""

from django.db.models import QuerySet

from ingestion.errors import UnknownTreatment
from ingestion.models import Source, TreatmentKind, TreatmentVersion


def version_in_force(*, source: Source, kind: TreatmentKind) -> int:
    """Return the number of the version in force; 0 is none."""
    return {
        TreatmentKind.TRANSFORMATIONS: source.transformations_version,
        TreatmentKind.PLAN: source.plan_version,
        TreatmentKind.CLEANING: source.cleaning_version,
    }[kind]


def find_version(*, source: Source, kind: TreatmentKind, version: int | None = None) -> TreatmentVersion | None:
    """Return a version, None if there is none.

    Parameters
    ----------
    version : int, optional
        None: the one in force.
    """
    wanted = version_in_force(source=source, kind=kind) if version is None else version
    return TreatmentVersion.objects.filter(source=source, kind=kind, version=wanted).first()


def get_version(*, source: Source, kind: TreatmentKind, version: int) -> TreatmentVersion:
    """Return a version.

    Raises
    ------
    UnknownTreatment
        The source has no such version.
    """
    row = find_version(source=source, kind=kind, version=version)
    if row is None:
        message = f"The source has no version {version} of its {kind}."
        raise UnknownTreatment(message)
    return row


def list_versions(*, source: Source, kind: TreatmentKind) -> QuerySet[TreatmentVersion]:
    """Return all versions; the caller orders them."""
    return TreatmentVersion.objects.filter(source=source, kind=kind)
