"""What keeping a definition current would cost is estimated before it is saved, and refused over a limit."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from segments.models import Segment
from tests.segments.asking import definition, did, trait
from tests.world import api, faults

pytestmark = pytest.mark.django_db
PRO = definition(trait("plan", "eq", "pro"))
LONG = definition(did("*", measure={"fn": "distinct", "property": "product"}, op="gte", value=3))


@pytest.fixture
def rest() -> APIClient:
    return api("segments:write", "profiles:read")


def cost(rest: APIClient, tried: Any) -> Any:
    return rest.post("/api/v1/segments/preview", {"definition": tried}, format="json").json()["cost"]


def test_a_preview_tells_it(rest: APIClient) -> None:
    light, more = cost(rest, PRO), cost(rest, LONG)
    assert light["level"] == "light"
    assert 0 < light["estimate"] < more["estimate"]


def test_what_would_cost_too_much_stays_a_draft(rest: APIClient, settings: Any) -> None:
    settings.CDP_SEGMENT_COST_LIMIT = cost(rest, PRO)["estimate"]
    body = {"key": "long", "name": "Long", "definition": LONG}
    refused = rest.post("/api/v1/segments", {**body, "status": "live"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (422, "segment.too_expensive")
    assert next(iter(faults(refused.json())))[0] == "definition.match"
    assert not Segment.objects.exists()
    assert rest.post("/api/v1/segments", body, format="json").status_code == 201
    refused = rest.patch("/api/v1/segments/long", {"status": "live"}, format="json")
    assert (refused.status_code, Segment.objects.get().status) == (422, "draft")


def test_a_live_segment_keeps_what_it_has(rest: APIClient, settings: Any) -> None:
    body = {"key": "some", "name": "Some", "definition": PRO, "status": "live"}
    settings.CDP_SEGMENT_COST_LIMIT = cost(rest, PRO)["estimate"]
    assert rest.post("/api/v1/segments", body, format="json").status_code == 201
    assert rest.patch("/api/v1/segments/some", {"definition": LONG}, format="json").status_code == 422
    assert Segment.objects.get().version == 1
    # Its name can change, whatever the limit is by now.
    settings.CDP_SEGMENT_COST_LIMIT = 1
    assert rest.patch("/api/v1/segments/some", {"name": "Any"}, format="json").status_code == 200


def test_no_limit_is_a_limit_of_zero(rest: APIClient, settings: Any) -> None:
    settings.CDP_SEGMENT_COST_LIMIT = 0
    body = {"key": "long", "name": "Long", "definition": LONG, "status": "live"}
    assert rest.post("/api/v1/segments", body, format="json").status_code == 201
