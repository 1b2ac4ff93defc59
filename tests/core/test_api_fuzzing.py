"""Whatever the OpenAPI document allows, and much that it does not, as each role: no 500, and answers as described.

A few per operation and role in each run; more on demand: FUZZ_EXAMPLES=50 .venv/bin/python -m pytest -s
tests/core/test_api_fuzzing.py
"""

import os
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import requests
import schemathesis
from django.db import transaction
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance

from cdp.core.access import ROLE_SCOPES
from tests.architecture.objects import build
from tests.architecture.rights import PARAMETER, addresses
from tests.world import key_with

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore")]

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))
PARTS = 6
# The other server did not answer; nothing of ours.
WELL_SAID = {502}
PROBLEM = {"type", "title", "status", "detail", "code", "errors"}


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document as the product serves it."""
    return orjson.loads(orjson.dumps(SchemaGenerator().get_schema(request=None, public=True)))


def operations() -> list[tuple[str, str]]:
    """Every method of every address."""
    methods = {"get", "post", "put", "patch", "delete"}
    return [(path, method) for path, item in document()["paths"].items() for method in item if method in methods]


class Caller:
    """Sends what was drawn with the key of a role, and says what is wrong with the answer."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.client = Client(headers={"authorization": f"Bearer {key_with(role)}"}, raise_request_exception=False)

    def faults(self, case: Any, path: str) -> Iterator[str]:
        """Send it, take back what it did, and yield what is wrong."""
        query = urlencode({name: str(value) for name, value in (case.query or {}).items()}, errors="replace")
        body = _body(case)
        with transaction.atomic():
            answer = self.client.generic(
                case.method, path, data=body, content_type="application/json", QUERY_STRING=query
            )
            transaction.set_rollback(True)
        content = b"" if answer.streaming else answer.content
        said = f"{self.role}: {case.method} {path}?{query} {body[:200]!r}: {answer.status_code} {content[:300]!r}"
        if answer.status_code >= 500 and answer.status_code not in WELL_SAID:
            yield said
        elif answer.status_code >= 400:
            if path.startswith("/api/") and not answer.json().keys() >= PROBLEM:
                yield f"no problem document: {said}"
        elif not answer.streaming:
            wrong = _breach(case, answer, content)
            if wrong:
                yield f"{wrong}: {said}"


def _body(case: Any) -> bytes:
    if not isinstance(case.body, str | int | float | bool | list | dict | None):
        return b""
    try:
        return orjson.dumps(case.body)
    except TypeError:
        return str(case.body).encode(errors="replace")


def _breach(case: Any, answer: Any, content: bytes) -> str:
    """Return how an answer breaks its description, or nothing."""
    told = Response(
        status_code=answer.status_code,
        headers={name.lower(): [value] for name, value in answer.items()},
        content=content,
        request=requests.Request(case.method, "http://testserver/").prepare(),
        elapsed=0.0,
        verify=False,
    )
    try:
        case.validate_response(told, checks=[response_schema_conformance])
    except FailureGroup as wrong:
        return " ".join(str(each) for each in wrong.exceptions)[:600]
    return ""


def draw(operation: Any) -> list[tuple[Any, bool]]:
    """Return some requests to an operation, as it is described or not, and whether it is to be for something real."""
    drawn: list[tuple[Any, bool]] = []
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(good, bad), st.booleans())
    def keep(case: Any, is_real: bool) -> None:
        drawn.append((case, is_real))

    keep()
    return drawn


@pytest.mark.parametrize("part", range(PARTS))
def test_answers_as_described_whatever_is_asked(part):
    there = {PARAMETER.sub("*", address.route): address.there for address in addresses(build())}
    callers = [Caller(role) for role in ROLE_SCOPES]
    schema = schemathesis.openapi.from_dict(document())
    found: list[str] = []
    asked = 0
    for path, method in operations()[part::PARTS]:
        operation = schema[path][method]
        real = there.get(_star(path))
        for case, is_real in draw(operation):
            for caller in callers:
                asked += 1
                found.extend(caller.faults(case, real if real and is_real else case.formatted_path))
    print(f"\nrequests drawn from the OpenAPI document: {asked}, answered otherwise than described: {len(found)}")
    assert found == [], "\n".join(["", *found])


def _star(path: str) -> str:
    """Return an address of the document as those of the URL map are compared."""
    parts = ["*" if part.startswith("{") else part for part in path.lstrip("/").split("/")]
    return "/".join(parts)
