"""JSON Schema, draft 2020-12, compiled to closures: some microseconds a message, where a library needs hundreds.

Compiled is all that validates but the `unevaluated…` keywords and dynamic references; a schema with the first is left
to `jsonschema`, the others are refused. `jsonschema` also judges the schema itself, and is the oracle of the tests.

Two forms of each check: `holds` says yes or no, fast; `find` says where and which keyword, and runs only after a no.

References
----------
JSON Schema: A Media Type for Describing JSON Documents, and Validation, draft 2020-12. `format` is an annotation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from cdp.core.patterns import Matcher, PatternFault, parse_pattern
from ingestion.treatment.faults import Faults
from ingestion.treatment.keywords import HELPERS, KEYWORDS, Find, Holds, Violation, Where, both_of, nothing, valid
from ingestion.treatment.paths import exact_path

MAX_DEPTH = 40
MAX_NODES = 20_000
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
    compiler = Compiler(given, faults)
    holds, find = compiler.compile(given, path, ())
    declared, matchers, is_total = compiler.declared(given) if len(faults.found) == before else (set(), [], False)
    if len(faults.found) > before:
        return None
    return Schema(holds, find, frozenset(declared), tuple(matchers), is_total)


class Compiler:
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
            return valid, nothing
        if schema is True or schema == {}:
            return valid, nothing
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
        return both_of([holds for holds, _ in parts], [find for _, find in parts])

    def library(self, schema: dict[str, Any], path: str) -> tuple[Holds, Find]:
        """Leave a schema to `jsonschema`: slow, so only where nothing else can do it."""
        if _mentions(schema, {"pattern", "patternProperties", "$ref"}):
            self.faults.add(path, "unevaluated… cannot stand together with pattern, patternProperties or $ref.")
            return valid, nothing
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
