"""Computed traits are defined in the browser: by a form, tried before they are saved."""

from typing import Any

import pytest
from django.test import Client

from segments.models import ComputedTrait, TraitValue
from segments.ui.computing_forms import definition_of, fill
from tests.segments.asking import NOW, SECOND, did, segment, track
from tests.world import signed_in

pytestmark = pytest.mark.django_db
NEW = "/computed-traits/new"
SPENT = {"kind": "summary", "key": "spent", "name": "Spent", "fn": "sum", "event": "Order", "property": "total"}


@pytest.fixture
def ana() -> Client:
    return signed_in("ana")


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_is_tried_and_then_saved(ana: Client) -> None:
    track("u1", "Order", total=5)
    tried = text(ana.post(NEW, {**SPENT, "act": "try"}))
    assert "What it would give" in tried
    assert ComputedTrait.objects.count() == 0
    answer = ana.post(NEW, {**SPENT, "act": "live"}, follow=True)
    assert "Spent is saved and computed." in text(answer)
    assert TraitValue.objects.get().value == 5
    assert "Total total of" in text(ana.get("/computed-traits"))


def test_what_was_typed_is_not_lost_where_it_is_wrong(ana: Client) -> None:
    answer = ana.post(NEW, {**SPENT, "property": "", "days": "many", "act": "live"})
    assert answer.status_code == 422
    assert "compute.property" in text(answer)
    assert 'value="Spent"' in text(answer)


def test_scores_by_segments_and_names_classes(ana: Client) -> None:
    track("u1", "Order", total=5)
    segment("buyers", did("Order"), now=NOW + SECOND)
    form = {"kind": "weighted_score", "key": "worth", "name": "Worth", "segment-0": "buyers", "weight-0": "2,5"}
    answer = ana.post(NEW, {**form, "class-0": "good", "from-0": "2", "act": "live"})
    assert answer.status_code == 302, text(answer)
    assert TraitValue.objects.get().value == {"score": 2.5, "class": "good"}
    page = text(ana.get("/computed-traits/worth"))
    assert 'value="good"' in page
    assert "readonly" in page


def test_is_changed_and_deleted(ana: Client) -> None:
    ana.post(NEW, {**SPENT, "act": "draft"})
    ana.post("/computed-traits/spent", {**SPENT, "days": "30", "act": "live"})
    trait = ComputedTrait.objects.get()
    assert (trait.status, trait.version, trait.definition["compute"]["window"]) == ("live", 2, {"last": "P30D"})
    ana.post("/computed-traits/spent", {**SPENT, "act": "delete"})
    assert ComputedTrait.objects.count() == 0


@pytest.mark.parametrize(
    ("compute", "kind"),
    [
        ({"type": "summary", "fn": "days_since", "name": "Order"}, "summary"),
        ({"type": "summary", "fn": "count", "name": ["A", "B"]}, "json"),
        ({"type": "weighted_score", "criteria": [{"when": did("Order"), "weight": 1}]}, "json"),
        ({"type": "rfm"}, "rfm"),
    ],
)
def test_shows_as_json_what_the_form_cannot_say(compute: Any, kind: str) -> None:
    definition = {"version": 1, "timezone": "installation", "compute": compute}
    given = fill(compute["type"], definition)
    assert given["kind"] == kind
    assert definition_of(given) == definition


def test_needs_the_right_to_write(ana: Client) -> None:
    assert signed_in("cy").get("/computed-traits").status_code == 403
    assert signed_in("ben").get("/computed-traits").status_code == 200
    assert signed_in("ben").post(NEW, {**SPENT, "act": "live"}).status_code == 403
    assert ana.get("/computed-traits/none").status_code == 404
