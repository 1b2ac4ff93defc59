"""What every view of the REST API declares. Who may use it is held against a table: `test_rights.py`."""

import pytest
from django.urls import get_resolver
from rest_framework.views import APIView

from cdp.core.access import ALL_SCOPES
from cdp.core.api.permissions import HasScope, needed_scope
from tests.architecture.addresses import walk
from tests.architecture.rights import read_table

# What only reads but takes a body: identifiers stay out of addresses, definitions are too long for them.
READS_BY_POST = {"preview", "lookup", "dry-run", "rows", "people", "reach", "compare"}
METHODS = ("get", "post", "put", "patch", "delete", "head")
PUBLIC = {route for lines in read_table().values() for (route, _), (line, _) in lines.items() if "N" in line.who}

# Who calls these proves it by a signature over what they send; the table says that nothing else opens them.
SIGNED = {"opendsr/callbacks"}


def rest_views() -> list[tuple[str, type[APIView]]]:
    found = []
    for route, _, pattern in walk(get_resolver().url_patterns):
        view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
        if view is not None and issubclass(view, APIView) and route not in PUBLIC | SIGNED:
            found.append((route, view))
    return found


@pytest.mark.parametrize(("route", "view"), rest_views(), ids=[route for route, _ in rest_views()])
def test_every_rest_view_declares_a_known_scope_for_each_method(route: str, view: type[APIView]):
    methods = [method.upper() for method in METHODS if hasattr(view, method)]
    assert methods
    for method in methods:
        scope = needed_scope(view, method)
        assert scope in ALL_SCOPES, f"{view.__name__}.{method.lower()} declares no scope"
        if method not in {"GET", "HEAD"} and not scope.endswith(":write"):
            assert route.rsplit("/", 1)[-1] in READS_BY_POST, f"{view.__name__}.{method.lower()} writes with {scope}"
    assert HasScope in view.permission_classes
