"""Imports of consents and what became of their rows."""

from django.db.models import QuerySet

from consent.asking_models import ConsentImport, ConsentImportRow
from consent.errors import UnknownConsentImport


def list_consent_imports() -> QuerySet[ConsentImport]:
    """Return all imports; the caller orders them."""
    return ConsentImport.objects.all()


def get_consent_import(*, import_id: int) -> ConsentImport:
    """Return an import.

    Raises
    ------
    UnknownConsentImport
        If there is none.
    """
    found = ConsentImport.objects.filter(pk=import_id).first()
    if found is None:
        raise UnknownConsentImport
    return found


def list_import_rows(*, import_id: int, outcome: str = "") -> QuerySet[ConsentImportRow]:
    """Return what became of the rows of an import, or those with one outcome; the caller orders them."""
    rows = ConsentImportRow.objects.filter(made_by_id=get_consent_import(import_id=import_id).pk)
    return rows.filter(outcome=outcome) if outcome else rows
