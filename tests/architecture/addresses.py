"""The map of addresses: each route, a path that it matches, and its pattern."""

import uuid
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver

SAMPLES = {"int": "1", "uuid": str(uuid.UUID(int=1)), "slug": "x", "str": "x", "path": "x"}


def walk(patterns: list, prefix: str = "") -> Iterator[tuple[str, str, URLPattern]]:
    """Yield route, a sample path and the pattern of each address."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("\\Z")
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, sample(route), pattern


def sample(route: str) -> str:
    """Return a path that the route matches."""
    path = route
    while "<" in path:
        before, _, rest = path.partition("<")
        inner, _, after = rest.partition(">")
        converter = inner.split(":")[0] if ":" in inner else "str"
        path = before.removesuffix("(?P") + SAMPLES.get(converter, "x") + after
    return "/" + path
