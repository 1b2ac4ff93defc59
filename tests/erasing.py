"""A person who leaves traces in many places, and their erasure, for tests that look for what is left."""

from dataclasses import dataclass

from django.utils import timezone

from consent.models import PrivacyRequest
from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.running import run_privacy_requests
from profiles.queries.people import find_by_identifier, name_identifier
from tests.profiles.sending import identify, send, source, track


@dataclass(frozen=True)
class Living:
    """Somebody whose every identifier holds `word`, which occurs nowhere else."""

    word: str

    @property
    def email(self) -> str:
        return f"{self.word}x@example.org"

    def is_there(self) -> bool:
        """Tell whether any profile holds the person's identifiers."""
        names = [("user_id", self.word), ("email", self.email)]
        return any(find_by_identifier(named=name_identifier(type=kind, value=value)) for kind, value in names)


def live(word: str, *, events: int = 2) -> Living:
    """Let somebody sign up and do things."""
    person = Living(word)
    shop = source()
    send(identify(word, email=person.email), origin=shop)
    send(*[track("Seen", word, by=person.email) for _ in range(events)], origin=shop)
    return person


def ask_erasure(person: Living) -> PrivacyRequest:
    """Approve an erasure of the person; nobody carries it out yet."""
    now = timezone.now()
    identity = name_identifier(type="user_id", value=person.word)
    request = create_request(new=NewRequest("erasure", [identity], "gdpr", now, "api", "system"), now=now)
    approve_request(request_id=str(request.id), actor="system", now=now)
    return request


def erase(person: Living) -> PrivacyRequest:
    """Erase the person, to the end."""
    request = ask_erasure(person)
    run_privacy_requests(clock=timezone.now)
    request.refresh_from_db()
    return request
