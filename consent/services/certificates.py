"""The certificate of an erasure: what was done and what the search looked at, signed, without personal data."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from cdp.core.errors import Conflict
from cdp.core.services.scrubbing import find_scrub_after
from cdp.core.signing import sign_document
from consent.models import PrivacyRequest
from consent.proof_models import ErasureProof
from consent.queries.requests import get_request
from consent.services.recipient_states import present_recipients
from consent.services.withholding import count_withheld
from consent.suppression_models import LedgerEntry

PURPOSE = "erasure_certificate"
VERSION = 1


class NoCertificate(Conflict):
    """There is a certificate only for an erasure after which nothing was found."""

    code = "privacy.no_certificate"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"There is a certificate only of an erasure, after a search that found nothing; this request is {status}."
        )


def make_certificate(*, request_id: str) -> dict[str, Any]:
    """Return the signed certificate of an erasure that has left nothing here, whether or not its recipients know yet.

    Raises
    ------
    UnknownRequest
        If there is no such request.
    NoCertificate
        If it is no erasure, or was not searched to zero.

    Notes
    -----
    It is the same each time until the database's own files were scrubbed or a recipient was told, which it also states.
    """
    request = get_request(request_id=request_id)
    proof = ErasureProof.objects.filter(request_id=request.id).first()
    clean = (
        request.type == PrivacyRequest.Type.ERASURE
        and request.clean_at is not None
        and not any(step["remaining"] for step in request.steps)
    )
    if not clean or proof is None or proof.searched_at is None or request.clean_at is None or proof.found:
        raise NoCertificate(request.status)
    scrubbed_at = find_scrub_after(moment=request.clean_at)
    line = LedgerEntry.objects.filter(request_id=request.id).order_by("-number").first()
    document: dict[str, Any] = {
        "type": PURPOSE,
        "version": VERSION,
        "request_id": str(request.id),
        "regulation": request.regulation,
        "received_at": _time(request.received_at),
        "began_at": _time(proof.began_at),
        "erased_at": _time(proof.erased_at or proof.searched_at),
        "clean_at": _time(request.clean_at),
        "status": request.status,
        "completed_at": _time(request.completed_at) if request.completed_at else None,
        "subject": proof.subject,
        "suppressed_identifiers": proof.suppressed,
        "shared_identifiers_kept": proof.shared,
        "stores": request.steps,
        "withheld": count_withheld(request_id=str(request.id)),
        "recipients": present_recipients(request_id=str(request.id)),
        "search": {
            "searched_at": _time(proof.searched_at),
            "names": proof.needles,
            "forms": proof.forms,
            "encodings": proof.encodings,
            "looked_at": proof.looked,
            "positive_control": {
                "before": "the same search, before anything was deleted",
                "found": proof.control or {},
            },
            "found": 0,
        },
        "database_files": {
            "scrubbed_at": _time(scrubbed_at) if scrubbed_at else None,
            "statement": "The database's own files and its log were rewritten after the erasure."
            if scrubbed_at
            else "Deleted rows may still lie in unused parts of the database's own files until the next nightly scrub.",
        },
        "backups": {
            "gone_by": _time(request.clean_at + timedelta(days=settings.CDP_BACKUP_DAYS)),
            "statement": "Older backups may hold the person until then; reading one in repeats the erasure first.",
        },
        "erasure_ledger": {"line": line.number if line else None},
    }
    return sign_document(document, purpose=PURPOSE, now=scrubbed_at or request.clean_at)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
