"""What a privacy request says beyond its kind, kept sealed: read and written as one value."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson

from cdp.core.secrets import seal, unseal
from consent.models import PrivacyRequest
from consent.request_models import RequestDetails

CONTEXT = "consent.request_details"


@dataclass(frozen=True, slots=True)
class Details:
    """What the person asks in particular.

    Attributes
    ----------
    corrections : sequence of ``{"trait", "value"}``
        Of a rectification.
    purposes : sequence of str
        Of an objection or opt-out; empty: all that can be objected to.
    contact : str
        The e-mail address that letters go to; empty: they are sent otherwise.
    message : str
        The person's own words.
    """

    corrections: Sequence[Mapping[str, Any]] = ()
    purposes: Sequence[str] = ()
    contact: str = ""
    message: str = ""


NOTHING = Details()


def read_details(*, request: PrivacyRequest) -> Details:
    """Return the details of a request; of one without, or whose details are erased, nothing."""
    row = RequestDetails.objects.filter(request_id=request.pk).first()
    return unseal_details(row) if row is not None else NOTHING


def read_all_details(*, requests: Sequence[PrivacyRequest]) -> dict[str, Details]:
    """Return the details of several requests by id, in one statement."""
    rows = RequestDetails.objects.filter(request_id__in=[one.pk for one in requests])
    return {str(row.request_id): unseal_details(row) for row in rows}


def write_details(*, request: PrivacyRequest, details: Details) -> None:
    """Keep the details of a request, in the caller's transaction."""
    sealed = seal(orjson.dumps(asdict(details)), context=CONTEXT)
    RequestDetails.objects.update_or_create(request_id=request.pk, defaults={"sealed": sealed})


def forget_details_of_erased(now: datetime) -> None:
    """Delete the details of erasures that left nothing here: they were kept for the letter and the course of it."""
    del now
    over = PrivacyRequest.objects.filter(type=PrivacyRequest.Type.ERASURE, clean_at__isnull=False)
    RequestDetails.objects.filter(request__in=over).delete()


def unseal_details(row: RequestDetails) -> Details:
    """Read what `write_details` sealed."""
    return Details(**orjson.loads(unseal(bytes(row.sealed), context=CONTEXT)))
