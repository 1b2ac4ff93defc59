"""A right on one object opens that object on every way in, at once, and tells nothing of others."""

from typing import Any

import orjson
import pytest
from django.db.models import Model
from django.test import Client
from guardian.shortcuts import assign_perm, remove_perm

from consent.models import Purpose
from ingestion.models import Source
from segments.models import Segment
from segments.sending_models import Destination, Export
from tests.architecture.objects import World, build, make
from tests.segments.asking import trait
from tests.world import signed_in, staff

pytestmark = pytest.mark.django_db

# The kind, its list as a page and by REST, and what stands in the place of one.
KINDS: list[tuple[type[Model], str, str, str]] = [
    (Segment, "/segments", "/api/v1/segments", "/segments/"),
    (Destination, "/destinations", "/api/v1/destinations", "/destinations/"),
    (Source, "/sources", "/api/v1/sources", "/sources/"),
    (Purpose, "/consent", "/api/v1/purposes", "/consent/purposes/"),
]
IDS = [kind.__name__ for kind, *_ in KINDS]


@pytest.fixture
def world() -> World:
    return build()


@pytest.fixture
def cy() -> Client:
    return signed_in("cy")


def give(obj: Model, *acts: str) -> None:
    for act in acts or ("view",):
        assign_perm(f"{act}_{obj._meta.model_name}", staff("cy"), obj)


def take(obj: Model, *acts: str) -> None:
    for act in acts or ("view",):
        remove_perm(f"{act}_{obj._meta.model_name}", staff("cy"), obj)


def keys(client: Client, path: str) -> list[str]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return [one["key"] for one in answer.json()["results"]]


def shared(world: World, kind: type[Model]) -> Any:
    return next(obj for obj in world.shared if isinstance(obj, kind))


@pytest.mark.parametrize(("kind", "page", "rest", "one"), KINDS, ids=IDS)
def test_lists_hold_what_was_given_and_nothing_else(world, cy, kind, page, rest, one):
    obj = shared(world, kind)
    assert [cy.get(path).status_code for path in (page, rest)] == [403, 403]
    give(obj)
    assert keys(cy, rest) == [obj.key]
    shown = cy.get(page).content.decode()
    assert f'href="{page}"' in cy.get("/").content.decode()
    assert f'"{one}{obj.key}"' in shown
    for other in kind._default_manager.exclude(pk=obj.pk):
        assert f'"{one}{other.key}"' not in shown
    take(obj)
    assert f'href="{page}"' not in cy.get("/").content.decode()
    assert [cy.get(path).status_code for path in (page, rest)] == [403, 403]


@pytest.mark.parametrize(("kind", "page", "rest", "one"), KINDS, ids=IDS)
def test_what_is_not_given_looks_like_what_is_not_there(world, cy, kind, page, rest, one):
    give(shared(world, kind))
    other = kind._default_manager.exclude(pk=shared(world, kind).pk).order_by("pk").first()
    for start in (one, f"{rest}/"):
        told = [cy.get(f"{start}{key}") for key in (other.key, "no-such")]
        assert told[0].status_code == told[1].status_code == 403
        assert told[0].content.replace(other.key.encode(), b"") == told[1].content.replace(b"no-such", b"")


def test_exports_follow_the_right_on_their_segment(world, cy):
    segment = shared(world, Segment)
    others = Segment.objects.exclude(pk=segment.pk).get()
    mine, alien = Export.objects.get(), make(Export, segment=others, segment_key=others.key)
    give(segment)
    assert [one["id"] for one in cy.get("/api/v1/exports").json()["results"]] == [mine.pk]
    assert cy.get("/api/v1/exports?segment=others").json()["results"] == []
    assert others.key not in cy.get("/exports").content.decode()
    for start in ("/exports/", "/api/v1/exports/"):
        assert [cy.get(f"{start}{number}").status_code for number in (mine.pk, alien.pk, 987)] == [200, 403, 403]
        assert cy.get(f"{start}{mine.pk}/file").status_code == 403
    assert cy.get("/exports/new").status_code == 403
    give(segment, "change")
    offered = cy.get("/exports/new").content.decode()
    assert 'value="buyers"' in offered
    assert 'value="others"' not in offered
    asked = {"segment": segment.key, "purpose": "marketing", "channel": "email"}
    made = cy.post("/api/v1/exports", asked, content_type="application/json")
    assert made.status_code == 202, made.content
    # No value of a person shows to somebody who may not see them, whatever was exported.
    assert Export.objects.get(pk=made.json()["id"]).masked
    assert (
        cy.post("/api/v1/exports", {**asked, "segment": "others"}, content_type="application/json").status_code == 403
    )
    take(segment, "change")
    assert cy.get("/exports/new").status_code == 403


def test_no_name_count_or_tag_of_another_segment_comes_along(world, cy):
    segment = shared(world, Segment)
    Segment.objects.filter(key="others").update(status="live", tags=["secret-tag"], name="Secret name")
    give(segment, "view", "change")
    body = {"definition": {"version": 1, "timezone": "UTC", "match": trait("email", "exists")}, "key": segment.key}
    answers = [
        cy.get("/segments"),
        cy.get(f"/segments/{segment.key}"),
        cy.get(f"/segments/{segment.key}/change"),
        cy.get(f"/segments/{segment.key}/overlap"),
        cy.get(f"/api/v1/segments/{segment.key}/overlap"),
        cy.post("/segments/new/around", orjson.dumps(body), content_type="application/json"),
        cy.get("/api/v1/segments?tag=secret-tag"),
        cy.get("/api/v1/segments?q=secret"),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.content
        for word in (b"Secret name", b"secret-tag", b'"others"'):
            assert word not in answer.content, answer.request["PATH_INFO"]
    assert cy.get(f"/api/v1/segments/{segment.key}/overlap").json()["results"] == []


def test_a_small_group_has_no_number_for_who_may_not_see_persons(world, cy, settings):
    settings.CDP_SMALLEST_GROUP = 5
    segment = shared(world, Segment)
    Segment.objects.filter(pk=segment.pk).update(member_count=4)
    give(segment)
    assert cy.get("/api/v1/segments/buyers").json()["count"] is None
    assert cy.get("/api/v1/segments").json()["results"][0]["count"] is None
    assert signed_in("ana").get("/api/v1/segments/buyers").json()["count"] == 4


def test_somebody_with_the_scope_still_finds_all(world):
    ana = signed_in("ana")
    assert keys(ana, "/api/v1/segments") == ["buyers", "others"]
    assert {one["key"] for one in ana.get("/api/v1/segments/others/overlap").json()["results"]} == {"buyers"}


def test_a_rule_compares_with_sources_that_may_be_seen_only(world, cy):
    shop = shared(world, Source)
    give(shop, "view", "change")
    told = []
    for key in ("app", "no-such"):
        known = {"source": key, "type": "identify", "event": "", "field": "email"}
        rule = {"type": "track", "event": "Order Completed", "field": "email", "known_in": known}
        told.append(cy.post("/api/v1/sources/shop/quality/rules", rule, content_type="application/json"))
    assert [answer.status_code for answer in told] == [404, 404]
    assert told[0].json() == told[1].json()
    assert 'value="app"' not in cy.get("/sources/shop/quality/rules").content.decode()
