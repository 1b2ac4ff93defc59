"""The menu marks the one entry that a page belongs to."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from cdp.site.navigation import sidebar
from tests.world import signed_in

pytestmark = pytest.mark.django_db


def marked(path: str) -> list[str]:
    client: Any = signed_in("ada")
    request = RequestFactory().get(path)
    request.user = client.get(path).wsgi_request.user
    return [item["title"] for group in sidebar(request) for item in group["items"] if item["active"]]


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/", "Overview"),
        ("/consent", "Consent"),
        ("/consent/fields", "Fields and purposes"),
        ("/consent/attention", "Consent"),
    ],
)
def test_marks_the_entry_whose_address_begins_the_pages_furthest(path: str, title: str) -> None:
    assert marked(path) == [title]


def test_shows_nobody_else_a_menu() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert sidebar(request) == []
