"""What is kept around privacy requests about a person (`cdp.core.registries.PersonalData`)."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from cdp.core.registries import Subject
from consent import life
from consent.models import PrivacyRequest
from consent.personal_data import PrivacyRequests
from consent.request_models import Letter, Package, RequestDetails, RequestNote
from consent.services.details import unseal_details
from consent.services.letters import read_letter
from consent.services.packages import forget_packages
from consent.traces.needles import make_needles


class RequestPapers:
    """Details, notes, letters and packages of a person's requests. That a letter was sent stays on record.

    A running erasure keeps its own details and identities: they are what it goes by.
    """

    name = "request_papers"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return what the person asked in particular, and the letters to them; notes are the officer's own work."""
        requests = PrivacyRequests.requests_of(subject)
        details = RequestDetails.objects.filter(request__in=requests).order_by("request__received_at", "pk")
        letters = Letter.objects.filter(request__in=requests, sealed__isnull=False).order_by("pk")
        return {
            "request_details": [{"request": str(row.pk), **_as_members(row)} for row in details],
            "letters": [
                {
                    "request": str(row.request_id),
                    "kind": row.kind,
                    "language": row.language,
                    "sent_at": row.sent_at,
                    "subject": subject_line,
                    "text": body,
                }
                for row in letters
                for subject_line, body in [read_letter(row)]
            ],
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many papers there are."""
        details, notes, letters, packages = self._rows(subject)
        return details.count() + notes.count() + letters.count() + packages.count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete all of them: a person has few, whatever the limit."""
        del limit
        details, notes, letters, packages = self._rows(subject)
        gone = forget_packages(request_ids=set(packages.values_list("request_id", flat=True)))
        return gone + letters.update(sealed=None) + notes.delete()[0] + details.delete()[0]

    @staticmethod
    def _rows(subject: Subject) -> tuple[Any, Any, Any, Any]:
        requests = PrivacyRequests.requests_of(subject)
        running = PrivacyRequest.objects.filter(type=PrivacyRequest.Type.ERASURE, status__in=life.MOVING)
        return (
            RequestDetails.objects.filter(request__in=requests).exclude(request__in=running),
            RequestNote.objects.filter(request__in=requests),
            Letter.objects.filter(request__in=requests, sealed__isnull=False),
            Package.objects.filter(request__in=requests).exclude(stored=""),
        )


class SentMail:
    """Mails in the folder that stands for a mail server where none is set (`CDP_EMAIL_URL`)."""

    name = "outbox_folder"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return nothing: what was written to the person is exported with its request or consent."""
        del subject
        return {}

    def count(self, *, subject: Subject) -> int:
        """Return how many files name the person."""
        return len(self._files(subject))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` files."""
        found = self._files(subject)[:limit]
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    @staticmethod
    def _files(subject: Subject) -> list[Any]:
        folder = settings.CDP_OUTBOX_DIR
        if settings.CDP_EMAIL_URL or not folder.is_dir():
            return []
        needles = make_needles(names=[value for _, value in subject.identifiers], uuids=subject.uuids)
        return [path for path in sorted(folder.iterdir()) if path.is_file() and needles.found_in(path.read_bytes())]


def _as_members(row: RequestDetails) -> dict[str, Any]:
    details = unseal_details(row)
    return {
        "corrections": details.corrections,
        "purposes": details.purposes,
        "contact": details.contact,
        "message": details.message,
    }
