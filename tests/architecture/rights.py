"""Who may use which address: the table that is written down, and the walk that finds it out again.

A line of `tests/architecture/rights/APP.txt` reads

    POST    ...M.A  segments:write            change  api/v1/segments/<str:key>/versions/<int:version>/restore

* the method, or ANY for all five; HEAD follows GET, OPTIONS is for nobody who may nothing else, and a method without
  a line is refused to all;
* who is let in: N nobody (not signed in), S staff without a role, M marketer, I integrator, O compliance officer,
  A administrator; `.` is turned away;
* the scope that an API key needs (`any`: not even a key; `several`: more than one scope; `-`: no key helps), `+` if a
  key limited to a source may use it for that source;
* the right on the one object that opens it to somebody without the scope: `view`, `change`, `delete`, or `-`;
* the address, as in the URL map; what stands behind `#` says why nobody needs to sign in.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.urls import URLPattern, get_resolver

from tests.architecture.addresses import walk
from tests.architecture.objects import MISSING, World

FOLDER = Path(__file__).parent / "rights"
ANY = "ANY"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
REST = ("api/v1/", "opendsr/")
# Parts of an address that say how, not of what.
NO_OBJECTS = {"act", "kind", "language", "token", "provider_id"}
APPS = {"profiles", "consent", "segments", "ingestion"}


@dataclass(frozen=True)
class Address:
    """An address of the URL map with its object, one like it that others have, and one that does not exist."""

    route: str
    app: str
    there: str
    other: str | None
    missing: str | None

    @property
    def is_rest(self) -> bool:
        """Tell whether programs use it."""
        return self.route.startswith(REST)


def addresses(world: World | None = None) -> Iterator[Address]:
    """Yield every address once. The admin site's last resort is a regular expression; it answers as its pages do."""
    seen = set()
    for route, _, pattern in walk(get_resolver().url_patterns):
        if "(" in route or route in seen:
            continue
        seen.add(route)
        names = world or World({}, {}, ())
        missing = _fill(route, names.there, missing=True)
        other = _fill(route, {**names.there, **names.other})
        there = _fill(route, names.there)
        yield Address(
            route,
            _app_of(pattern),
            there,
            other if other != there else None,
            missing if missing != there else None,
        )


def _app_of(pattern: URLPattern) -> str:
    view = pattern.callback
    module = getattr(view, "cls", getattr(view, "view_class", view)).__module__
    if module.startswith(("django.contrib.admin", "unfold")) or ".admin" in module:
        return "admin"
    first, _, rest = module.partition(".")
    return (
        "site"
        if rest.startswith("site")
        else first
        if first in {"profiles", "consent", "segments", "ingestion"}
        else "core"
    )


def _fill(route: str, values: dict[str, str], *, missing: bool = False) -> str:
    """Write a path: each name replaced by its value, the last one of an object by one that does not exist."""
    parts, begin = [], 0
    found = list(PARAMETER.finditer(route))
    objects = [match for match in found if match[2] not in NO_OBJECTS]
    for match in found:
        parts.append(route[begin : match.start()])
        begin = match.end()
        if missing and objects and match is objects[-1]:
            parts.append(MISSING.get(match[1] or "str", "no-such"))
        else:
            parts.append(_value(route[: match.end()], match, values))
    return "/" + "".join(parts) + route[begin:]


def _value(before: str, match: re.Match[str], values: dict[str, str]) -> str:
    """Return the value of the longest end of the address that is known."""
    plain = PARAMETER.sub(r"<\2>", before).removeprefix("api/v1/").split("/")
    for start in range(len(plain)):
        known = values.get("/".join(plain[start:]))
        if known is not None:
            return known
    return MISSING.get(match[1] or "str", "no-such")


# --- The table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """Who may use an address by a method."""

    method: str
    who: str
    key: str
    right: str
    route: str

    def __str__(self) -> str:
        return f"{self.method:7} {self.who}  {self.key:20} {self.right:7} {self.route}".rstrip()


def read_table() -> dict[str, dict[tuple[str, str], tuple[Line, str]]]:
    """Return the lines by app, address and method, each with its reason."""
    return {path.stem: dict(_read(path)) for path in sorted(FOLDER.glob("*.txt"))}


def _read(path: Path) -> Iterator[tuple[tuple[str, str], tuple[Line, str]]]:
    for text in path.read_text().splitlines():
        if not text or text.startswith("#"):
            continue
        told, _, reason = text.partition("#")
        method, who, key, right, *route = told.split()
        line = Line(method, who, key, right, route[0] if route else "")
        yield (line.route, line.method), (line, reason.strip())
