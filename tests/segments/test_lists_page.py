"""Lists are made, filled from files and explained row by row in the browser; segments are kept and split there."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from segments.models import ListMember, ListUpload, Segment, StaticList
from tests.segments.asking import NOW, SECOND, did, identify, segment, track
from tests.world import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> Client:
    return signed_in("ana")


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_takes_a_file_and_tells_what_became_of_its_rows(ana: Client) -> None:
    identify("u1", plan="pro")
    ana.post("/lists", {"act": "list", "key": "fair", "name": "Fair"})
    file = SimpleUploadedFile("people.csv", b"user_id\nu1\nnobody\n")
    told = text(ana.post("/lists/fair/change", {"file": file}, follow=True))
    assert ListMember.objects.count() == 1
    assert "1 unmatched" in told
    only = text(ana.get(f"/lists/fair/files/{ListUpload.objects.get().pk}?outcome=unmatched"))
    assert '<th scope="row" class="number">3</th>' in only
    assert '<th scope="row" class="number">2</th>' not in only


def test_says_why_a_file_is_not_taken(ana: Client) -> None:
    ana.post("/lists", {"act": "list", "key": "fair", "name": "Fair"})
    answer = ana.post("/lists/fair/change", {"file": SimpleUploadedFile("x.csv", b"name\nAna\n")})
    assert answer.status_code == 422
    assert "No column is called like an identifier type" in text(answer)
    assert "Choose a file" in text(ana.post("/lists/fair/change", {}))


def test_keeps_and_splits_a_segment(ana: Client) -> None:
    track("u1", "Order", total=5)
    segment("buyers", did("Order"), now=NOW + SECOND)
    ana.post("/lists", {"act": "snapshot", "key": "then", "name": "Then", "segment": "buyers"})
    assert ListMember.objects.get().list.key == "then"
    form = {"act": "split", "segment": "buyers", "salt": "s"}
    ana.post("/lists", {**form, "parts": "holdout 10\nrest, 90 %"})
    assert set(Segment.objects.values_list("key", flat=True)) == {"buyers", "holdout", "rest"}
    wrong = ana.post("/lists", {**form, "parts": "holdout"})
    assert (wrong.status_code, "a key and a percentage" in text(wrong)) == (422, True)


def test_deletes_a_list_and_needs_the_right_to(ana: Client) -> None:
    ana.post("/lists", {"act": "list", "key": "fair", "name": "Fair"})
    assert signed_in("ben").get("/lists/fair").status_code == 200
    assert signed_in("ben").post("/lists/fair/change", {"act": "delete"}).status_code == 403
    assert signed_in("cy").get("/lists").status_code == 403
    ana.post("/lists/fair/change", {"act": "delete"})
    assert StaticList.objects.count() == 0
    assert ana.get("/lists/fair").status_code == 404
