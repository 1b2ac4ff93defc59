"""The proof of an erasure as a page: stages, stores, control, search, recipients, certificate."""

import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cdp.core.ui.shell import show_page, show_part, signed_in
from consent.models import PrivacyRequest
from consent.proof_models import ErasureProof
from consent.queries.requests import get_request
from consent.services.certificates import make_certificate
from consent.services.recipient_states import present_recipients
from consent.services.withholding import count_withheld

Status = PrivacyRequest.Status
STAGES = (
    ("suppressed", "Keep out: every identifier is suppressed, the ledger outside the database has it"),
    ("control", "Control: the search is run before, and must find the person"),
    ("erasing", "Erase: store by store, in small steps"),
    ("mentions", "Mentions: names are taken out of what belongs to others"),
    ("search", "Search: every table, statistic, key and file, in every form"),
    ("searched", "Proof: what the search found"),
)


@require_safe
def proof(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Answer how far an erasure is; asks again each second while it moves."""
    signed_in(request, "privacy:read")
    asked = get_request(request_id=str(request_id))
    row = ErasureProof.objects.filter(request_id=asked.id).first()
    names = [stage for stage, _ in STAGES]
    reached = names.index(row.stage) if row is not None and row.stage in names else -1
    moves = asked.status in (Status.APPROVED, Status.RUNNING) and asked.clean_at is None
    context: dict[str, Any] = {
        "asked": asked,
        "proof": row,
        "moves": moves,
        "stages": [
            (text, "done" if place < reached or not moves else "now" if place == reached else "later")
            for place, (_, text) in enumerate(STAGES)
        ],
        "recipients": present_recipients(request_id=str(asked.id)),
        "withheld": count_withheld(request_id=str(asked.id)),
        "clean": asked.clean_at is not None,
    }
    if request.headers.get("HX-Request"):
        return show_part(request, "consent/proof.html", **context)
    return show_page(request, "consent/proof_page.html", title="Proof of erasure", **context)


@require_safe
def certificate(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Answer the signed certificate as a file."""
    signed_in(request, "privacy:read")
    document = make_certificate(request_id=str(request_id))
    answer = HttpResponse(json.dumps(document, indent=2), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="erasure-{request_id}.json"'
    return answer
