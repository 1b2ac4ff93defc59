"""Inputs that have broken other products, for every address, form and field that this one has."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_from_bytes

import orjson
from django.test import Client
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator

from tests.architecture.addresses import walk

# Texts, as bytes where they are no text.
TEXTS: tuple[str | bytes, ...] = (
    "",
    " ",
    "\0",
    "a\0b",
    b"\xed\xa0\x80",  # half of a surrogate pair
    b"\xff\xfe",
    b"\xc0\xaf",
    "9" * 5000,
    "-1",
    "0",
    "9223372036854775808",
    "1e400",
    "1e131071",
    "NaN",
    "-Infinity",
    "0x10",
    "١٢٣",
    "²",
    "true",
    "null",
    "[]",
    "{}",
    '{"a":' * 100,
    "[" * 2000,
    "294277-01-01",
    "0000-00-00",
    "2026-02-32",
    "2026-03-29T02:30:00",
    "2026-03-14T15:09:26+99:99",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-23:59",
    "99999999999999999999",
    "' OR 1=1 --",
    '"; DROP TABLE core_user; --',
    "%' ESCAPE '",
    "%s%n%(a)s",
    "{0.__class__}",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "../../../../etc/passwd",
    "..%2f..%2f",
    "http://169.254.169.254/latest/meta-data",
    "//evil.example",
    "a\r\nSet-Cookie: x=1",
    "=cmd|' /C calc'!A0",
    "\t=1+1",
    "__proto__",
    "constructor",
    "(a+)+$",
    "(?P<a>",
    "[",
    "\\",
    "\u202eevil",
    "\u200b",
    "e\u0301",
    "İstanbul",
    "👩‍👩‍👧‍👦" * 20,
    "\ufeffx",
    "x" * 70_000,
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-00000000000g",
    "email:ada@example.org",
    "email:",
    ":",
    "a" * 300 + "@" + "b" * 300 + ".example",
    "*/*",
    "2026-13",
    "eyJpZCI6MX0",
)
# JSON values in the place of another.
VALUES: tuple[bytes, ...] = (
    b"null",
    b"true",
    b"0",
    b"-1",
    b"1e400",
    b"1e131071",
    b"NaN",
    b"-Infinity",
    b"9" * 5000,
    b"9223372036854775808",
    b"-9223372036854775809",
    b"0.1e-400",
    b'""',
    rb'"\u0000"',
    rb'"\ud800"',
    b'"\xff"',
    b"[]",
    b"[[]]",
    b"[null]",
    b"{}",
    b'{"":1}',
    rb'{"\u0000":1}',
    b'{"a":1,"a":2}',
    b'{"__proto__":{"a":1}}',
    b"[" * 100 + b"]" * 100,
    b'{"a":' * 200 + b"1" + b"}" * 200,
    b"[" + b"0," * 20_000 + b"0]",
    b'"' + b"x" * 70_000 + b'"',
    b'"294277-01-01T00:00:00Z"',
    b'"2026-02-32"',
    b'"(a+)+$"',
    b'"=1+1"',
    b'["\\u0000"]',
)
BODIES: tuple[bytes, ...] = (
    b"",
    b"null",
    b"[]",
    b'"x"',
    b"{",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b"{}garbage",
    b'{"a":1,"a":2}',
    b"1e400",
    b"NaN",
    b"\0",
    b"x" * 1_000_000,
)
TYPES = ("application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "")
QUERIES = ("q", "cursor", "limit", "page", "since", "until", "source", "kind", "state", "sort", "order", "as_of", "day")
FIELD = re.compile(r"""<(?:input|select|textarea)\b[^>]*?\bname="([^"]+)""")


@dataclass(frozen=True)
class Shot:
    """One request, as it is sent."""

    method: str
    path: str
    query: str
    body: bytes
    content_type: str

    def __str__(self) -> str:
        return f"{self.method} {self.path[:120]}?{self.query[:120]} {self.content_type} {self.body[:160]!r}"


def quoted(text: str | bytes) -> str:
    """Write a text into an address."""
    return quote_from_bytes(text, safe="") if isinstance(text, bytes) else quote(text, safe="")


class Gun:
    """Draws requests: any address, any of its fields, any of the inputs."""

    def __init__(self, seed: int, browser: Client) -> None:
        self.random = random.Random(seed)
        self.browser = browser
        self.pages = sorted({route for route, _, _ in walk(get_resolver().url_patterns) if "(" not in route})
        self.pages = [route for route in self.pages if not route.startswith(("api/", "opendsr/"))]
        document = orjson.loads(orjson.dumps(SchemaGenerator().get_schema(request=None, public=True)))
        self.schemas = document["components"]["schemas"]
        self.operations = [
            (method.upper(), path, described)
            for path, item in document["paths"].items()
            for method, described in item.items()
            if method in {"get", "post", "put", "patch", "delete"}
        ]
        self.forms: dict[str, list[str]] = {}

    def shots(self, count: int) -> Iterator[Shot]:
        """Yield so many requests: half of them to REST and collection, half to pages and their forms."""
        for number in range(count):
            yield self.at_rest() if number % 2 else self.at_page()

    def at_rest(self) -> Shot:
        """Draw one request to an operation of the OpenAPI document."""
        method, path, described = self.random.choice(self.operations)
        names = [each["name"] for each in described.get("parameters", []) if each["in"] == "query"]
        body = self.body_of(described) if method not in {"GET", "DELETE"} else b""
        kind = "application/json" if self.random.random() < 0.9 else self.random.choice(TYPES)
        return Shot(method, re.sub(r"{[^}]+}", self.segment, path), self.query(names), body, kind)

    def at_page(self) -> Shot:
        """Draw one request to a page, or one of its forms."""
        route = self.random.choice(self.pages)
        path = "/" + re.sub(r"<[^>]+>", self.segment, route)
        if self.random.random() < 0.5:
            return Shot("GET", path, self.query([]), b"", "")
        fields = self.fields_of(route, path)
        parts = [f"{quoted(name)}={quoted(self.random.choice(TEXTS))}" for name in fields]
        return Shot("POST", path, self.query([]), "&".join(parts).encode(), "application/x-www-form-urlencoded")

    def segment(self, _match: re.Match[str]) -> str:
        """Draw a part of an address: often one that fits, so that what is behind it is reached."""
        fits = ("1", "x", "shop", "00000000-0000-0000-0000-000000000001")
        return self.random.choice(fits) if self.random.random() < 0.6 else quoted(self.random.choice(TEXTS)) or "x"

    def query(self, names: list[str]) -> str:
        """Draw what stands behind the question mark."""
        chosen = self.random.sample([*names, *QUERIES], k=self.random.randint(0, 2))
        return "&".join(f"{name}={quoted(self.random.choice(TEXTS))}" for name in chosen)

    def fields_of(self, route: str, path: str) -> list[str]:
        """Return the names of a page's form, read from the page itself."""
        if route not in self.forms:
            shown = self.browser.get(path)
            text = shown.content.decode(errors="replace") if not shown.streaming else ""
            self.forms[route] = sorted(set(FIELD.findall(text)) - {"csrfmiddlewaretoken"})
        return self.forms[route] or ["name", "reason", "key", "q"]

    def body_of(self, described: dict) -> bytes:
        """Draw a body: the members that are described, some of them replaced; or none that was described."""
        if self.random.random() < 0.15:
            return self.random.choice(BODIES)
        content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
        schema = self.resolve(content.get("schema", {}))
        members = [f'"{name}":'.encode() + self.value(inner) for name, inner in schema.get("properties", {}).items()]
        return b"{" + b",".join(members) + b"}"

    def value(self, schema: dict) -> bytes:
        """Draw a value for a member: one that fits, or one that does not."""
        schema = self.resolve(schema)
        if self.random.random() < 0.35:
            return self.random.choice(VALUES)
        if "enum" in schema:
            return orjson.dumps(self.random.choice(schema["enum"]))
        kind = schema.get("type")
        if kind == "object":
            inner = {name: self.value(each) for name, each in schema.get("properties", {}).items()}
            return b"{" + b",".join(f'"{name}":'.encode() + value for name, value in inner.items()) + b"}"
        if kind == "array":
            return b"[" + self.value(schema.get("items", {})) + b"]"
        fitting = {"integer": b"1", "number": b"1.5", "boolean": b"true"}
        return fitting.get(str(kind)) or self.random.choice((b'"x"', b'"shop"', b'"email"', b'"2026-03-14T00:00:00Z"'))

    def resolve(self, schema: dict) -> dict:
        """Follow references to named shapes."""
        while "$ref" in schema or "allOf" in schema:
            schema = self.schemas[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema["allOf"][0]
        return schema
