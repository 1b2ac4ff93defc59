"""JSON Schema, draft 2020-12, compiled to closures: some microseconds a message, where a library needs hundreds.

Compiled is all that validates but the `unevaluated…` keywords and dynamic references; a schema with the first is left
to `jsonschema`, the others are refused. `jsonschema` also judges the schema itself, and is the oracle of the tests.

Two forms of each check: `holds` says yes or no, fast; `find` says where and which keyword, and runs only after a no.

References
----------
JSON Schema: A Media Type for Describing JSON Documents, and Validation, draft 2020-12. `format` is an annotation.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from cdp.core.patterns import Matcher, PatternFault, parse_pattern
from ingestion.treatment.conditions import same
from ingestion.treatment.faults import Faults
from ingestion.treatment.paths import exact_path

Where = tuple[Any, ...]
Holds = Callable[[Any], bool]
Find = Callable[[Any, Where], Iterator["Violation"]]

MAX_DEPTH = 40
MAX_NODES = 20_000
# Patterns are linear in time; a text beyond this is taken to violate them, so that no message costs much.
MAX_PATTERN_TEXT = 4_096

DESCRIBING = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "format")
IDENTIFYING = ("$schema", "$id", "$comment", "$anchor", "$vocabulary", "$defs", "definitions", "id", "labels", "key")
CONTENT = ("contentEncoding", "contentMediaType", "contentSchema")
ANNOTATIONS = frozenset((*DESCRIBING, *IDENTIFYING, *CONTENT))
REFUSED = {
    "$dynamicRef": "References must be fixed: use $ref.",
    "$dynamicAnchor": "References must be fixed: use $ref and $defs.",
    "$recursiveRef": "References must be fixed: use $ref.",
    "additionalItems": "This is draft 7: write prefixItems, and items for the rest.",
    "dependencies": "This is draft 7: write dependentRequired or dependentSchemas.",
}
LEFT_TO_LIBRARY = frozenset({"unevaluatedProperties", "unevaluatedItems"})
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


@dataclass(frozen=True, slots=True)
class Violation:
    """Where a value breaks which keyword of the schema."""

    where: Where
    rule: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled schema. `holds` is for every message, `find` for those that it does not hold for."""

    holds: Holds
    find: Find
    declared: frozenset[str]
    patterns: tuple[Matcher, ...]
    is_total: bool

    def plans(self, name: str) -> bool:
        """Tell whether the schema says anything about a member."""
        return self.is_total or name in self.declared or any(one.matches(name) for one in self.patterns)


def compile_schema(given: Any, path: str, faults: Faults) -> Schema | None:
    """Check and compile a schema.

    Parameters
    ----------
    given : object
        A JSON Schema.
    path : str
        Where it stands in the definition, for the faults.

    Returns
    -------
    Schema or None
        None if it has faults.
    """
    before = len(faults.found)
    if not isinstance(given, dict):
        faults.add(path, "A schema is an object.")
        return None
    try:
        Draft202012Validator.check_schema(given)
    except SchemaError as error:
        where = exact_path(tuple(error.absolute_path))
        faults.add(f"{path}.{where}" if where else path, f"This is no valid JSON Schema: {error.message[:200]}")
        return None
    except RecursionError:
        faults.add(path, f"A schema is nested at most {MAX_DEPTH} levels deep.")
        return None
    compiler = _Compiler(given, faults)
    holds, find = compiler.compile(given, path, ())
    declared, matchers, is_total = compiler.declared(given) if len(faults.found) == before else (set(), [], False)
    if len(faults.found) > before:
        return None
    return Schema(holds, find, frozenset(declared), tuple(matchers), is_total)


def _valid(_: Any) -> bool:
    return True


def _nothing(_: Any, __: Where) -> Iterator[Violation]:
    return iter(())


class _Compiler:
    """One schema document: its references, and how much of it was compiled."""

    def __init__(self, document: dict[str, Any], faults: Faults) -> None:
        self.document = document
        self.faults = faults
        self.nodes = 0

    def compile(self, schema: Any, path: str, refs: tuple[str, ...], depth: int = 0) -> tuple[Holds, Find]:
        """Compile a schema; faults are noted, and what has any holds for everything."""
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            if self.nodes <= MAX_NODES + 1 or depth > MAX_DEPTH:
                self.faults.add(path, f"A schema is at most {MAX_DEPTH} levels deep and has {MAX_NODES} parts.")
            return _valid, _nothing
        if schema is True or schema == {}:
            return _valid, _nothing
        if schema is False:
            return (lambda _: False), lambda _, where: iter((Violation(where, "false"),))
        unknown = schema.keys() - ANNOTATIONS - KEYWORDS.keys() - LEFT_TO_LIBRARY - HELPERS
        for name in sorted(unknown):
            if not name.startswith("x-"):
                self.faults.add(f"{path}.{name}", REFUSED.get(name, "JSON Schema has no such keyword."))
        if LEFT_TO_LIBRARY & schema.keys():
            return self.library(schema, path)
        parts = [
            made
            for name in schema
            if name in KEYWORDS and (made := KEYWORDS[name](self, schema, path, refs, depth + 1)) is not None
        ]
        return _both([holds for holds, _ in parts], [find for _, find in parts])

    def library(self, schema: dict[str, Any], path: str) -> tuple[Holds, Find]:
        """Leave a schema to `jsonschema`: slow, so only where nothing else can do it."""
        if _mentions(schema, {"pattern", "patternProperties", "$ref"}):
            self.faults.add(path, "unevaluated… cannot stand together with pattern, patternProperties or $ref.")
            return _valid, _nothing
        validator = Draft202012Validator(schema)

        def find(value: Any, where: Where) -> Iterator[Violation]:
            for error in validator.iter_errors(value):
                yield Violation((*where, *error.absolute_path), str(error.validator))

        return validator.is_valid, find

    def resolve(self, reference: str) -> Any:
        """Return what a reference within the document names; None if there is nothing."""
        if reference == "#":
            return self.document
        if not reference.startswith("#/"):
            return None
        target: Any = self.document
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, dict) or name not in target:
                return None
            target = target[name]
        return target

    def declared(self, schema: Any, refs: tuple[str, ...] = ()) -> tuple[set[str], list[Matcher], bool]:
        """Return the members that a schema speaks of, also in its alternatives; and whether it names all."""
        names: set[str] = set()
        matchers: list[Matcher] = []
        total = False
        if not isinstance(schema, dict):
            return names, matchers, total
        names |= schema.get("properties", {}).keys()
        found = [self.matcher(one, "patternProperties") for one in schema.get("patternProperties", {})]
        matchers += [one for one in found if one is not None]
        total = isinstance(schema.get("additionalProperties"), dict) and bool(schema["additionalProperties"])
        inner = [
            *(one for name in ("allOf", "anyOf", "oneOf") for one in schema.get(name, [])),
            *(schema[name] for name in ("if", "then", "else") if name in schema),
            *schema.get("dependentSchemas", {}).values(),
        ]
        if (reference := schema.get("$ref")) is not None and reference not in refs:
            refs = (*refs, reference)
            inner.append(self.resolve(reference))
        for one in inner:
            more, others, all_of_them = self.declared(one, refs)
            names |= more
            matchers += others
            total = total or all_of_them
        return names, matchers, total

    def matcher(self, text: str, path: str) -> Matcher | None:
        """Return a pattern, None if it cannot be used."""
        try:
            return Matcher(parse_pattern(text))
        except PatternFault as fault:
            self.faults.add(path, f"The pattern cannot be used: {fault}.")
            return None


def _mentions(value: Any, names: set[str]) -> bool:
    if isinstance(value, dict):
        return bool(names & value.keys()) or any(_mentions(inner, names) for inner in value.values())
    return isinstance(value, list) and any(_mentions(inner, names) for inner in value)


def _both(holds: list[Holds], finds: list[Find]) -> tuple[Holds, Find]:
    if not holds:
        return _valid, _nothing
    if len(holds) == 1:
        return holds[0], finds[0]
    if len(holds) == 2:
        first, second = holds

        def both(value: Any) -> bool:
            return first(value) and second(value)

        every: Holds = both
    else:

        def all_of(value: Any) -> bool:
            for one in holds:  # noqa: SIM110 - a generator costs twice as much, for every value of every message
                if not one(value):
                    return False
            return True

        every = all_of

    def find(value: Any, where: Where) -> Iterator[Violation]:
        for one in finds:
            yield from one(value, where)

    return every, find


def _leaf(rule: str, holds: Holds) -> tuple[Holds, Find]:
    def find(value: Any, where: Where) -> Iterator[Violation]:
        if not holds(value):
            yield Violation(where, rule)

    return holds, find


Made = tuple[Holds, Find] | None
Keyword = Callable[[_Compiler, dict[str, Any], str, tuple[str, ...], int], Made]


def _is_number(value: Any) -> bool:
    return value.__class__ is int or value.__class__ is float


def _is_integer(value: Any) -> bool:
    return value.__class__ is int or (value.__class__ is float and value.is_integer())


OF_TYPE: dict[str, Holds] = {
    "null": lambda value: value is None,
    "boolean": lambda value: value is True or value is False,
    "integer": _is_integer,
    "number": _is_number,
    "string": lambda value: value.__class__ is str,
    "array": lambda value: value.__class__ is list,
    "object": lambda value: value.__class__ is dict,
}


def _type(_: _Compiler, schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    wanted = schema["type"]
    if isinstance(wanted, str):
        return _leaf("type", OF_TYPE[wanted])
    tests = [OF_TYPE[name] for name in wanted]
    return _leaf("type", lambda value: any(test(value) for test in tests))


def _enum(_: _Compiler, schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    options = schema["enum"]
    texts = frozenset(one for one in options if isinstance(one, str))
    others = [one for one in options if not isinstance(one, str)]

    def holds(value: Any) -> bool:
        return value in texts if value.__class__ is str else any(same(value, one) for one in others)

    return _leaf("enum", holds)


def _const(_: _Compiler, schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    wanted = schema["const"]
    return _leaf("const", lambda value: same(value, wanted))


def _bound(name: str, test: Callable[[Any, Any], bool]) -> Keyword:
    def make(_: _Compiler, schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
        bound = schema[name]
        return _leaf(name, lambda value: not _is_number(value) or test(value, bound))

    return make


def _is_multiple(value: Any, of: Any) -> bool:
    if not isinstance(of, float):
        return bool(value % of == 0)
    quotient = value / of
    return math.isfinite(quotient) and int(quotient) == quotient


def _length(name: str, kind: Any, test: Callable[[int, int], bool]) -> Keyword:
    def make(_: _Compiler, schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
        bound = int(schema[name])
        return _leaf(name, lambda value: value.__class__ is not kind or test(len(value), bound))

    return make


def _pattern(compiler: _Compiler, schema: dict[str, Any], path: str, _: tuple[str, ...], __: int) -> Made:
    matcher = compiler.matcher(schema["pattern"], f"{path}.pattern")
    if matcher is None:
        return None
    matches = matcher.matches
    return _leaf(
        "pattern",
        lambda value: value.__class__ is not str or (len(value) <= MAX_PATTERN_TEXT and matches(value)),
    )


def _required(_: _Compiler, schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    names = tuple(schema["required"])
    wanted = frozenset(names)

    def holds(value: Any) -> bool:
        return value.__class__ is not dict or wanted <= value.keys()

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is dict:
            for name in names:
                if name not in value:
                    yield Violation((*where, name), "required")

    return holds, find


def _properties(compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    made = {
        name: compiler.compile(inner, f"{path}.properties.{name}", refs, depth)
        for name, inner in schema["properties"].items()
    }
    checked = [(name, holds) for name, (holds, _) in made.items() if holds is not _valid]
    absent = object()

    def holds(value: Any) -> bool:
        if value.__class__ is not dict:
            return True
        get = value.get
        for name, test in checked:
            member = get(name, absent)
            if member is not absent and not test(member):
                return False
        return True

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is dict:
            for name, (_, inner) in made.items():
                if name in value:
                    yield from inner(value[name], (*where, name))

    return holds, find


def _pattern_properties(
    compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int
) -> Made:
    made = []
    for text, inner in schema["patternProperties"].items():
        matcher = compiler.matcher(text, f"{path}.patternProperties")
        if matcher is not None:
            made.append((matcher, *compiler.compile(inner, f"{path}.patternProperties", refs, depth)))

    def holds(value: Any) -> bool:
        return value.__class__ is not dict or all(
            test(member) for name, member in value.items() for matcher, test, _ in made if matcher.matches(name)
        )

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is dict:
            for name, member in value.items():
                for matcher, _, inner in made:
                    if matcher.matches(name):
                        yield from inner(member, (*where, name))

    return holds, find


def _additional_properties(
    compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int
) -> Made:
    inner = schema["additionalProperties"]
    test, look = compiler.compile(inner, f"{path}.additionalProperties", refs, depth)
    if test is _valid:
        return None
    known = frozenset(schema.get("properties", {}))
    matchers = [m for text in schema.get("patternProperties", {}) if (m := compiler.matcher(text, path)) is not None]
    forbidden = inner is False

    def extra(value: dict[str, Any]) -> list[str]:
        return [name for name in value if name not in known and not any(one.matches(name) for one in matchers)]

    def holds(value: Any) -> bool:
        if value.__class__ is not dict or (not matchers and value.keys() <= known):
            return True
        return all(test(value[name]) for name in extra(value))

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is dict:
            for name in extra(value):
                if forbidden:
                    yield Violation((*where, name), "additionalProperties")
                else:
                    yield from look(value[name], (*where, name))

    return holds, find


def _property_names(compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    test, _ = compiler.compile(schema["propertyNames"], f"{path}.propertyNames", refs, depth)

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is dict:
            yield from (Violation((*where, name), "propertyNames") for name in value if not test(name))

    return (lambda value: value.__class__ is not dict or all(map(test, value))), find


def _items(compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    test, look = compiler.compile(schema["items"], f"{path}.items", refs, depth)
    first = len(schema.get("prefixItems", []))

    def holds(value: Any) -> bool:
        return value.__class__ is not list or all(map(test, value[first:] if first else value))

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is list:
            for index in range(first, len(value)):
                yield from look(value[index], (*where, index))

    return holds, find


def _prefix_items(compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    made = [
        compiler.compile(inner, f"{path}.prefixItems[{place}]", refs, depth)
        for place, inner in enumerate(schema["prefixItems"])
    ]

    def holds(value: Any) -> bool:
        return value.__class__ is not list or all(test(one) for (test, _), one in zip(made, value, strict=False))

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is list:
            for index, ((_, look), one) in enumerate(zip(made, value, strict=False)):
                yield from look(one, (*where, index))

    return holds, find


def _contains(compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    test, _ = compiler.compile(schema["contains"], f"{path}.contains", refs, depth)
    low, high = schema.get("minContains", 1), schema.get("maxContains")

    def holds(value: Any) -> bool:
        if value.__class__ is not list:
            return True
        count = sum(map(test, value))
        return count >= low and (high is None or count <= high)

    return _leaf("contains", holds)


def _unique_items(_: _Compiler, schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    if not schema["uniqueItems"]:
        return None

    def holds(value: Any) -> bool:
        if value.__class__ is not list or len(value) < 2:
            return True
        if all(one.__class__ is str for one in value):
            return len(set(value)) == len(value)
        return not any(same(one, other) for place, one in enumerate(value) for other in value[:place])

    return _leaf("uniqueItems", holds)


def _dependent_required(_: _Compiler, schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    rules = [(name, tuple(needed)) for name, needed in schema["dependentRequired"].items()]

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is dict:
            for name, needed in rules:
                if name in value:
                    missing = (one for one in needed if one not in value)
                    yield from (Violation((*where, one), "dependentRequired") for one in missing)

    return (lambda value: not any(find(value, ()))), find


def _dependent_schemas(
    compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int
) -> Made:
    made = {
        name: compiler.compile(inner, f"{path}.dependentSchemas.{name}", refs, depth)
        for name, inner in schema["dependentSchemas"].items()
    }

    def holds(value: Any) -> bool:
        return value.__class__ is not dict or all(test(value) for name, (test, _) in made.items() if name in value)

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is dict:
            for name, (_, look) in made.items():
                if name in value:
                    yield from look(value, where)

    return holds, find


def _all_of(compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    made = [
        compiler.compile(inner, f"{path}.allOf[{place}]", refs, depth) for place, inner in enumerate(schema["allOf"])
    ]
    return _both([holds for holds, _ in made], [find for _, find in made])


def _some_of(name: str, test: Callable[[int], bool]) -> Keyword:
    def make(compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
        tests = [
            compiler.compile(inner, f"{path}.{name}[{place}]", refs, depth)[0]
            for place, inner in enumerate(schema[name])
        ]
        return _leaf(name, lambda value: test(sum(one(value) for one in tests)))

    return make


def _not(compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    test, _ = compiler.compile(schema["not"], f"{path}.not", refs, depth)
    return _leaf("not", lambda value: not test(value))


def _if(compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    test, _ = compiler.compile(schema["if"], f"{path}.if", refs, depth)
    then = compiler.compile(schema.get("then", True), f"{path}.then", refs, depth)
    otherwise = compiler.compile(schema.get("else", True), f"{path}.else", refs, depth)

    def find(value: Any, where: Where) -> Iterator[Violation]:
        yield from (then if test(value) else otherwise)[1](value, where)

    return (lambda value: (then if test(value) else otherwise)[0](value)), find


def _is_schema(target: Any) -> bool:
    """Tell whether what a reference names is a schema: it may be any place of the document."""
    if not isinstance(target, dict | bool):
        return False
    try:
        Draft202012Validator.check_schema(target)
    except SchemaError:
        return False
    return True


def _ref(compiler: _Compiler, schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    reference = schema["$ref"]
    target = compiler.resolve(reference)
    if reference in refs:
        compiler.faults.add(f"{path}.$ref", "A schema cannot contain itself.")
    elif not _is_schema(target):
        compiler.faults.add(f"{path}.$ref", "A reference names a place in the same schema, such as #/$defs/address.")
    else:
        return compiler.compile(target, f"{path}.$ref", (*refs, reference), depth)
    return None


# Read by the keyword beside which they stand.
HELPERS = frozenset({"then", "else", "minContains", "maxContains"})
KEYWORDS: dict[str, Keyword] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "minimum": _bound("minimum", lambda value, bound: bool(value >= bound)),
    "maximum": _bound("maximum", lambda value, bound: bool(value <= bound)),
    "exclusiveMinimum": _bound("exclusiveMinimum", lambda value, bound: bool(value > bound)),
    "exclusiveMaximum": _bound("exclusiveMaximum", lambda value, bound: bool(value < bound)),
    "multipleOf": _bound("multipleOf", _is_multiple),
    "minLength": _length("minLength", str, lambda length, bound: length >= bound),
    "maxLength": _length("maxLength", str, lambda length, bound: length <= bound),
    "minItems": _length("minItems", list, lambda length, bound: length >= bound),
    "maxItems": _length("maxItems", list, lambda length, bound: length <= bound),
    "minProperties": _length("minProperties", dict, lambda length, bound: length >= bound),
    "maxProperties": _length("maxProperties", dict, lambda length, bound: length <= bound),
    "pattern": _pattern,
    "required": _required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
    "items": _items,
    "prefixItems": _prefix_items,
    "contains": _contains,
    "uniqueItems": _unique_items,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "allOf": _all_of,
    "anyOf": _some_of("anyOf", lambda count: count > 0),
    "oneOf": _some_of("oneOf", lambda count: count == 1),
    "not": _not,
    "if": _if,
    "$ref": _ref,
}
