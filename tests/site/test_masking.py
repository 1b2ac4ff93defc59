"""No address shows a person to roles that see personal data masked: every page and REST address, with real objects.

A person whose every value holds words that occur nowhere else is put into the shop; then each address that can be read
is read as a marketer and as an integrator, by page and by key, and searched for the words.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from consent.services.requests import NewRequest, create_request
from ingestion.models import Message, Quarantined, Source
from profiles.models import Edge, Identifier, Merge, Profile
from profiles.queries.people import name_identifier
from tests.profiles.sending import identify, send, track
from tests.site.shop import open_shop
from tests.world import api, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore")]

# Lower case without spaces, so that no normal form changes them.
WORDS = ("zwiebelstein", "quarkhausen", "mirabellenweg")
NAME, CITY, STREET = WORDS
EMAIL = f"{NAME}@{CITY}.example"
# Public pages of a person's own are opened by a token; files and streams are no pages.
LEFT_OUT = ("admin/", "static/", "preferences/", "unsubscribe/", "confirm/", "forms/", "metrics", "account/")


@pytest.fixture
def person(db) -> Profile:
    now = timezone.now()
    open_shop(now=now)
    context = {"page": {"url": f"https://shop.example/{STREET}"}}
    send(
        track("Seen", "", "device-1"),
        {**identify("u-canary", "device-1", email=EMAIL, name=NAME, city=CITY, street=STREET), "context": context},
        track("Viewed", "u-canary", "device-1", street=STREET, nested={"list": [CITY]}),
        identify("u-other", email=EMAIL),
        {"type": "track", "event": "", "userId": "u-canary", "properties": {"street": STREET}},
        origin=Source.objects.get(key="shop"),
        at=now,
    )
    profile: Profile = Identifier.objects.get(type__key="user_id", value="u-canary").profile
    create_request(
        new=NewRequest("access", [name_identifier(type="email", value=EMAIL)], "gdpr", now, "api", "system"), now=now
    )
    return profile


def addresses(patterns: Any, prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route


def fill(route: str, person: Profile) -> str:
    """Return a path of the route that names objects which are there."""
    merge = Merge.objects.filter(survivor_uuid=person.uuid).first() or Merge.objects.first()
    edge = Edge.objects.filter(a__in=Identifier.objects.filter(profile=person).values("pk")).first()
    known = {
        "public_id": person.uuid,
        "profile_id": person.uuid,
        "merge_id": merge.pk if merge else 1,
        "edge_id": edge.pk if edge else 1,
        "version": 1,
    }

    def value(match: re.Match[str]) -> str:
        kind, _, name = match[1].rpartition(":")
        if name in known:
            return str(known[name])
        if name == "row_id":
            table = Quarantined if "quarantine" in route else Message
            return str(table.objects.order_by("-pk").values_list("pk", flat=True).first() or 1)
        if name == "key":
            return first_key(route)
        return {"int": "1", "uuid": str(person.uuid)}.get(kind, "x")

    return "/" + re.sub(r"<([^>]+)>", value, route)


def first_key(route: str) -> str:
    """Return the key of the first object of the kind that the route begins with."""
    tables = {
        "sources": "ingestion_source", "tracking-plans": "ingestion_source", "segments": "segments_segment",
        "purposes": "consent_purpose", "notices": "consent_notice", "lists": "segments_staticlist",
    }  # fmt: skip
    for part, table in tables.items():
        if part in route:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT key FROM {table} ORDER BY id LIMIT 1")
                found = cursor.fetchone()
            return str(found[0]) if found else "x"
    return "x"


def leaks(client: Any, path: str) -> list[str]:
    answer = client.get(path)
    if answer.status_code != 200 or answer.streaming:
        return []
    text = answer.content.decode(errors="replace").lower()
    return [word for word in WORDS if word in text]


@pytest.mark.parametrize("role", ["ana", "ivo"])
def test_shows_nothing_of_a_person_to_who_may_not_see_it(person, role):
    page: Client = signed_in(role)
    page.raise_request_exception = False
    program = api({"ana": "marketer", "ivo": "integrator"}[role])
    found, answered = [], 0
    queries = ("", "?trait=city&identifier=user_id:u-canary&q=zwie&event=Viewed&property=street&text=")
    for route in sorted(set(addresses(get_resolver().url_patterns))):
        if route.startswith(LEFT_OUT) or "(?P" in route:
            continue
        path = fill(route, person)
        for query in queries:
            client = program if route.startswith("api/v1") else page
            words = leaks(client, path + query)
            found += [f"{path}{query}: {', '.join(words)}"] if words else []
            answered += 1
    assert answered > 100
    assert found == [], "\n".join(["", *found])


def test_the_words_are_there_for_who_may_see_them(person):
    assert NAME in signed_in("ben").get(f"/profiles/{person.uuid}").content.decode().lower()
    assert STREET in api("compliance_officer").get(f"/api/v1/profiles/{person.uuid}/events").content.decode()
