"""What each keyword of JSON Schema means: a maker of the two forms of its check, and the table of all of them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from ingestion.treatment.conditions import same

if TYPE_CHECKING:
    from ingestion.treatment.schema import Compiler

Where = tuple[Any, ...]
Holds = Callable[[Any], bool]
Find = Callable[[Any, Where], Iterator["Violation"]]
Made = tuple[Holds, Find] | None
Keyword = Callable[["Compiler", dict[str, Any], str, tuple[str, ...], int], Made]

# Patterns are linear in time; a text beyond this is taken to violate them, so that no message costs much.
MAX_PATTERN_TEXT = 4_096
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


@dataclass(frozen=True, slots=True)
class Violation:
    """Where a value breaks which keyword of the schema."""

    where: Where
    rule: str


def valid(_: Any) -> bool:
    """Hold for everything."""
    return True


def nothing(_: Any, __: Where) -> Iterator[Violation]:
    """Find nothing."""
    return iter(())


def both_of(holds: list[Holds], finds: list[Find]) -> tuple[Holds, Find]:
    """Return a check that holds where all hold, in both forms."""
    if not holds:
        return valid, nothing
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


def _type(_: "Compiler", schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    wanted = schema["type"]
    if isinstance(wanted, str):
        return _leaf("type", OF_TYPE[wanted])
    tests = [OF_TYPE[name] for name in wanted]
    return _leaf("type", lambda value: any(test(value) for test in tests))


def _enum(_: "Compiler", schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    options = schema["enum"]
    texts = frozenset(one for one in options if isinstance(one, str))
    others = [one for one in options if not isinstance(one, str)]

    def holds(value: Any) -> bool:
        return value in texts if value.__class__ is str else any(same(value, one) for one in others)

    return _leaf("enum", holds)


def _const(_: "Compiler", schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    wanted = schema["const"]
    return _leaf("const", lambda value: same(value, wanted))


def _bound(name: str, test: Callable[[Any, Any], bool]) -> Keyword:
    def make(_: "Compiler", schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
        bound = schema[name]
        return _leaf(name, lambda value: not _is_number(value) or test(value, bound))

    return make


def _is_multiple(value: Any, of: Any) -> bool:
    if not isinstance(of, float):
        return bool(value % of == 0)
    quotient = value / of
    return math.isfinite(quotient) and int(quotient) == quotient


def _length(name: str, kind: Any, test: Callable[[int, int], bool]) -> Keyword:
    def make(_: "Compiler", schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
        bound = int(schema[name])
        return _leaf(name, lambda value: value.__class__ is not kind or test(len(value), bound))

    return make


def _pattern(compiler: "Compiler", schema: dict[str, Any], path: str, _: tuple[str, ...], __: int) -> Made:
    matcher = compiler.matcher(schema["pattern"], f"{path}.pattern")
    if matcher is None:
        return None
    matches = matcher.matches
    return _leaf(
        "pattern",
        lambda value: value.__class__ is not str or (len(value) <= MAX_PATTERN_TEXT and matches(value)),
    )


def _required(_: "Compiler", schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
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


def _properties(compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    made = {
        name: compiler.compile(inner, f"{path}.properties.{name}", refs, depth)
        for name, inner in schema["properties"].items()
    }
    checked = [(name, holds) for name, (holds, _) in made.items() if holds is not valid]
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
    compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int
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
    compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int
) -> Made:
    inner = schema["additionalProperties"]
    test, look = compiler.compile(inner, f"{path}.additionalProperties", refs, depth)
    if test is valid:
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


def _property_names(compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    test, _ = compiler.compile(schema["propertyNames"], f"{path}.propertyNames", refs, depth)

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is dict:
            yield from (Violation((*where, name), "propertyNames") for name in value if not test(name))

    return (lambda value: value.__class__ is not dict or all(map(test, value))), find


def _items(compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    test, look = compiler.compile(schema["items"], f"{path}.items", refs, depth)
    first = len(schema.get("prefixItems", []))

    def holds(value: Any) -> bool:
        return value.__class__ is not list or all(map(test, value[first:] if first else value))

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is list:
            for index in range(first, len(value)):
                yield from look(value[index], (*where, index))

    return holds, find


def _prefix_items(compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
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


def _contains(compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    test, _ = compiler.compile(schema["contains"], f"{path}.contains", refs, depth)
    low, high = schema.get("minContains", 1), schema.get("maxContains")

    def holds(value: Any) -> bool:
        if value.__class__ is not list:
            return True
        count = sum(map(test, value))
        return count >= low and (high is None or count <= high)

    return _leaf("contains", holds)


def _unique_items(_: "Compiler", schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    if not schema["uniqueItems"]:
        return None

    def holds(value: Any) -> bool:
        if value.__class__ is not list or len(value) < 2:
            return True
        if all(one.__class__ is str for one in value):
            return len(set(value)) == len(value)
        return not any(same(one, other) for place, one in enumerate(value) for other in value[:place])

    return _leaf("uniqueItems", holds)


def _dependent_required(_: "Compiler", schema: dict[str, Any], __: str, ___: tuple[str, ...], ____: int) -> Made:
    rules = [(name, tuple(needed)) for name, needed in schema["dependentRequired"].items()]

    def find(value: Any, where: Where) -> Iterator[Violation]:
        if value.__class__ is dict:
            for name, needed in rules:
                if name in value:
                    missing = (one for one in needed if one not in value)
                    yield from (Violation((*where, one), "dependentRequired") for one in missing)

    return (lambda value: not any(find(value, ()))), find


def _dependent_schemas(
    compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int
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


def _all_of(compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    made = [
        compiler.compile(inner, f"{path}.allOf[{place}]", refs, depth) for place, inner in enumerate(schema["allOf"])
    ]
    return both_of([holds for holds, _ in made], [find for _, find in made])


def _some_of(name: str, test: Callable[[int], bool]) -> Keyword:
    def make(compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
        tests = [
            compiler.compile(inner, f"{path}.{name}[{place}]", refs, depth)[0]
            for place, inner in enumerate(schema[name])
        ]
        return _leaf(name, lambda value: test(sum(one(value) for one in tests)))

    return make


def _not(compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
    test, _ = compiler.compile(schema["not"], f"{path}.not", refs, depth)
    return _leaf("not", lambda value: not test(value))


def _if(compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
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


def _ref(compiler: "Compiler", schema: dict[str, Any], path: str, refs: tuple[str, ...], depth: int) -> Made:
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
