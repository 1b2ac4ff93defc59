"""Request templates: method, URL, headers and body with places that are filled in for each person.

A body is JSON (or a form) whose texts hold places such as ``{{person.email}}``; what is filled in never changes the
structure, because it is put into the value and not into the text of the JSON. In URLs everything filled in is
percent-encoded. Secrets are named, ``{{secret.token}}``, and kept apart.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from cdp.core.errors import FieldError
from segments.sending.errors import InvalidSending

PLACE = re.compile(r"\{\{\s*([A-Za-z0-9_.-]{1,140}|person\.[^{}\r\n]{1,200}?)\s*\}\}")
BROKEN = re.compile(r"\{\{|\}\}")
METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET")
BODY_FORMATS = ("json", "form", "none")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# What frames a request is set by the product itself.
OURS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "upgrade", "te"}
FIXED = ("event", "reason", "segment.key", "segment.name", "delivery.id", "sent_at")
MOST_HEADERS = 30
MOST_BYTES = 64 * 1024
MOST_PEOPLE_PER_REQUEST = 1_000
MEMBERS = ("method", "url", "headers", "body", "body_format")


@dataclass(frozen=True, slots=True)
class Template:
    """One request with its places."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    body_format: str = "json"

    def as_json(self) -> dict[str, Any]:
        """Return it as REST shows and stores it."""
        return {name: getattr(self, name) for name in MEMBERS}

    def places(self) -> set[str]:
        """Return the names of what is filled in."""
        texts = [self.url, *self.headers.values(), *_texts(self.body)]
        return {name.strip() for text in texts for name in PLACE.findall(text)}


@dataclass(frozen=True, slots=True)
class Written:
    """A request with everything filled in."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def read_template(given: Any, *, path: str, known: Collection[str]) -> Template:
    """Read a template and check it.

    Parameters
    ----------
    path : str
        Where it stands in the input, for faults.
    known : collection of str
        Names that may be filled in beside `FIXED`: ``person.NAME`` and ``secret.NAME``.

    Raises
    ------
    InvalidSending
        Naming each fault.
    """
    if not isinstance(given, Mapping):
        raise InvalidSending([FieldError(path, "invalid", "A request is an object {method, url, headers, body}.")])
    errors: list[FieldError] = []
    for name in sorted(set(map(str, given)) - set(MEMBERS)):
        message = f"There is no such member. Members: {', '.join(MEMBERS)}."
        errors.append(FieldError(f"{path}.{name}", "unknown", message))
    url = given.get("url")
    template = Template(
        method=str(given.get("method") or "POST").upper(),
        url=url if isinstance(url, str) else "",
        headers=given.get("headers") or {},
        body=given.get("body"),
        body_format=given.get("body_format") or ("json" if given.get("body") is not None else "none"),
    )
    errors += _faults(template, path)
    if not errors:
        allowed = {*FIXED, *known}
        for name in sorted(template.places() - allowed):
            message = f"Nothing is called “{name}”. Known: {', '.join(sorted(allowed))}."
            errors.append(FieldError(path, "unknown_place", message))
    if errors:
        raise InvalidSending(errors)
    return template


def check_many(template: Template, *, path: str) -> None:
    """Make sure that a template can be about many people: what it says of a person stands in the one item of a list.

    Raises
    ------
    InvalidSending
        If it says something of a person elsewhere, or nowhere.
    """
    around = [template.url, *template.headers.values()]
    items: list[Any] = []
    if template.body_format == "json":
        around += _texts(_without_items(template.body, items))
    if len(items) != 1 or any(_is_personal(text) for text in around):
        message = (
            "With several people in a request, the body is JSON with one list of one item, such as "
            '{"people": [{"id": "{{person.id}}"}]}: it is repeated for each person. No {{person.…}} stands elsewhere.'
        )
        raise InvalidSending([FieldError(f"{path}.body", "not_for_many", message)])


def write_request(
    template: Template, values: Mapping[str, Any], people: Sequence[Mapping[str, Any]] | None = None
) -> Written:
    """Fill in a template.

    Parameters
    ----------
    values : mapping
        By the names of places; a place without a value stays empty, or null where it is a value of its own.
    people : sequence of mapping or None
        Further values of each person, for the item of a list that is repeated (`check_many`).
    """
    headers = {name: _fill(text, values) for name, text in template.headers.items()}
    kind, body = "", b""
    if template.body_format == "json":
        filled = _filled(template.body, values) if people is None else _repeated(template.body, values, people)
        kind, body = "application/json", orjson.dumps(filled)
    elif template.body_format == "form":
        pairs = {name: _as_text(value) for name, value in _filled(template.body, values).items()}
        kind, body = "application/x-www-form-urlencoded", urlencode(pairs).encode()
    if kind and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = kind
    return Written(template.method, _fill(template.url, values, encode=True), headers, body)


def is_sound(value: str) -> bool:
    """Tell whether a text can be the value of a header."""
    return HEADER_VALUE.fullmatch(value) is not None


def _faults(template: Template, path: str) -> Iterator[FieldError]:
    if template.method not in METHODS:
        yield FieldError(f"{path}.method", "invalid_choice", f"A method is one of {', '.join(METHODS)}.")
    if template.body_format not in BODY_FORMATS:
        yield FieldError(f"{path}.body_format", "invalid_choice", f"A format is one of {', '.join(BODY_FORMATS)}.")
    yield from _url_faults(template.url, f"{path}.url")
    if not isinstance(template.headers, Mapping) or len(template.headers) > MOST_HEADERS:
        yield FieldError(f"{path}.headers", "invalid", f"Headers are an object of at most {MOST_HEADERS} texts.")
        return
    for name, value in template.headers.items():
        if not HEADER_NAME.fullmatch(str(name)) or str(name).lower() in OURS:
            yield FieldError(f"{path}.headers", "invalid_header", f"The header “{name}” cannot be set.")
        elif not isinstance(value, str) or any(char in value for char in "\r\n\0"):
            yield FieldError(f"{path}.headers.{name}", "invalid_header", "The value is a text in one line.")
    if template.body_format == "form" and not isinstance(template.body, Mapping):
        yield FieldError(f"{path}.body", "invalid", "The body of a form is an object.")
    if len(orjson.dumps(template.body, default=str)) > MOST_BYTES:
        yield FieldError(f"{path}.body", "too_large", f"The body is larger than {MOST_BYTES} bytes.")
    for text in (template.url, *map(str, template.headers.values()), *_texts(template.body)):
        if BROKEN.search(PLACE.sub("", text)):
            yield FieldError(path, "broken_place", "A place is written {{person.NAME}}; some {{ or }} stands alone.")
            break


def _url_faults(url: str, path: str) -> Iterator[FieldError]:
    plain = PLACE.sub("x", url)
    try:
        parts = urlsplit(plain)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or len(url) > 2048:
        yield FieldError(path, "invalid", "A URL begins with https:// or http://.")
        return
    start = url.find("://") + 3
    rest = url[start:]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "{{" in authority or "{{" in url[:start]:
        yield FieldError(path, "place_in_host", "Whom to call is fixed: places may stand in the path and query only.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        whole = PLACE.fullmatch(value)
        # A place that is the whole text keeps the kind of its value: a number stays one, nothing is null.
        return values.get(whole[1].strip()) if whole else _fill(value, values)
    if isinstance(value, Mapping):
        return {_fill(str(name), values): _filled(inner, values) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, values) for inner in value]
    return value


def _is_personal(text: str) -> bool:
    return any(name.strip().startswith("person.") for name in PLACE.findall(text))


def _is_item(value: Any) -> bool:
    """Tell whether a value is the list whose only item is repeated for each person."""
    return isinstance(value, list) and len(value) == 1 and any(_is_personal(text) for text in _texts(value))


def _without_items(value: Any, items: list[Any]) -> Any:
    """Return a body without the lists that are repeated, which are added to `items`."""
    if _is_item(value):
        items.append(value[0])
        return None
    if isinstance(value, Mapping):
        return {name: _without_items(inner, items) for name, inner in value.items()}
    return [_without_items(inner, items) for inner in value] if isinstance(value, list) else value


def _repeated(value: Any, values: Mapping[str, Any], people: Sequence[Mapping[str, Any]]) -> Any:
    if _is_item(value):
        return [_filled(value[0], {**values, **person}) for person in people]
    if isinstance(value, Mapping):
        return {_fill(str(name), values): _repeated(inner, values, people) for name, inner in value.items()}
    return [_repeated(inner, values, people) for inner in value] if isinstance(value, list) else _filled(value, values)


def _fill(text: str, values: Mapping[str, Any], *, encode: bool = False) -> str:
    def put(match: re.Match[str]) -> str:
        found = _as_text(values.get(match[1].strip()))
        return quote(found, safe="") if encode else found

    return PLACE.sub(put, text)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
