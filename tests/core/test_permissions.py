"""Scopes of views, rights on single objects, and masking."""

import pytest
from django.urls import path
from guardian.shortcuts import assign_perm
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import MASK, Principal, expand_scopes, mask, show
from cdp.core.models import ApiKey
from tests.world import NOW, api, signed_in, staff

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.test_permissions")]


class Silent(APIView):
    """Declares no scope."""

    def get(self, _request):
        return Response({})


class ByMethod(APIView):
    scopes = {"GET": "profiles:read", "POST": "privacy:write"}

    def get(self, _request):
        return Response({})

    def post(self, _request):
        return Response({}, status=201)


class ByResource(APIView):
    scope_resource = "segments"

    def get(self, _request):
        return Response({})

    def delete(self, _request):
        return Response(status=204)


class OfOne(ByResource):
    def permission_object(self):
        return ApiKey.objects.get(name="one")

    def patch(self, _request):
        return Response({})


urlpatterns = [
    path("api/silent", Silent.as_view()),
    path("api/method", ByMethod.as_view()),
    path("api/resource", ByResource.as_view()),
    path("api/one", OfOne.as_view()),
]


def test_a_view_without_a_scope_lets_nobody_pass():
    assert api("administrator").get("/api/silent").status_code == 403
    assert signed_in("ada").get("/api/silent").status_code == 403


def test_each_method_needs_its_own_scope():
    reader, officer = api("profiles:read"), api("privacy:write")
    assert [reader.get("/api/method").status_code, reader.post("/api/method").status_code] == [200, 403]
    assert [officer.get("/api/method").status_code, officer.post("/api/method").status_code] == [403, 201]


def test_reading_and_writing_of_a_resource():
    reader, writer = api("segments:read"), api("segments:write")
    assert [reader.get("/api/resource").status_code, reader.delete("/api/resource").status_code] == [200, 403]
    assert [writer.get("/api/resource").status_code, writer.delete("/api/resource").status_code] == [200, 204]
    assert reader.head("/api/resource").status_code == 200
    assert reader.options("/api/resource").status_code == 200


def test_a_method_that_a_view_lacks_is_405_not_403():
    assert api("administrator").put("/api/method", {}, format="json").status_code == 405


def test_an_unauthenticated_request_is_401():
    assert api().get("/api/resource").status_code == 401


def test_a_right_on_one_object_opens_that_object_only():
    one = ApiKey.objects.create(name="one", prefix="", digest=b"1", scopes=[], created_at=NOW)
    cy, browser = staff("cy"), signed_in("cy")
    assert browser.get("/api/one").status_code == 403
    assign_perm("core.view_apikey", cy, one)
    assert browser.get("/api/one").status_code == 200
    assert browser.patch("/api/one").status_code == 403
    assert browser.get("/api/resource").status_code == 403
    assign_perm("core.change_apikey", cy, one)
    assert browser.patch("/api/one").status_code == 200
    assert browser.delete("/api/one").status_code == 403


def test_without_a_right_an_object_that_is_missing_looks_like_one_that_is_there():
    assert signed_in("cy").get("/api/one").status_code == 403
    assert api("profiles:read").get("/api/one").status_code == 403
    assert signed_in("ana", raise_request_exception=False).get("/api/one").status_code == 200


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ("ada@example.org", "email", "a***@***.org"),
        ("+4915112345678", "phone", "***78"),
        ("Lovelace", "text", "L***"),
        ("Ada", "text", MASK),
        (1815, "text", MASK),
        (True, "text", MASK),
        (None, "text", None),
        ("", "text", ""),
        (["Lovelace", {"x": "Byron"}], "text", ["L***", {"x": "B***"}]),
    ],
)
def test_masks_values_and_keeps_the_shape(value, kind, shown):
    assert mask(value, kind) == shown


def test_shows_values_to_those_who_may_see_them():
    officer = Principal("user:1", expand_scopes(["compliance_officer"]))
    marketer = Principal("user:2", expand_scopes(["marketer"]))
    assert show(officer, "ada@example.org", "email") == "ada@example.org"
    assert show(marketer, "ada@example.org", "email") == "a***@***.org"


def test_unknown_scopes_of_a_stored_key_give_nothing():
    assert expand_scopes(["later:write", "profiles:read"]) == {"profiles:read"}
