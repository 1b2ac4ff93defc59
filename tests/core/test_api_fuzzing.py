"""Whatever the OpenAPI document allows, and much that it does not: nothing answers 500."""

import os
from functools import cache
from urllib.parse import urlencode

import orjson
import pytest
import schemathesis
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from tests.world import key_with

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore")]

# A few per operation in each run; more on demand: FUZZ_EXAMPLES=200.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))


@cache
def document():
    """The OpenAPI document as the product serves it."""
    return orjson.loads(orjson.dumps(SchemaGenerator().get_schema(request=None, public=True)))


def operations():
    """Every method of every address."""
    methods = {"get", "post", "put", "patch", "delete"}
    return [(path, method) for path, item in document()["paths"].items() for method in item if method in methods]


@pytest.mark.parametrize(("path", "method"), operations())
def test_never_answers_500(path, method):
    operation = schemathesis.openapi.from_dict(document())[path][method]
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    # An administrator's key: nothing is refused for want of a scope.
    client = Client(headers={"authorization": f"Bearer {key_with('administrator')}"})

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(good, bad))
    def run(case):
        query = urlencode({name: str(value) for name, value in (case.query or {}).items()}, errors="replace")
        try:
            body = orjson.dumps(case.body) if case.body is not None else b""
        except TypeError:
            body = str(case.body).encode(errors="replace")
        answer = client.generic(
            case.method, case.formatted_path, data=body, content_type="application/json", QUERY_STRING=query
        )
        assert answer.status_code < 500, (case.method, case.formatted_path, query, body, answer.content[:500])

    run()
