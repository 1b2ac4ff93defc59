"""Transformations: an ordered list of small changes to messages as they came, each with tests saved beside it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ingestion.treatment.conditions import Condition, compile_condition, read_path, same
from ingestion.treatment.faults import Faults, members
from ingestion.treatment.paths import EACH, Path, places, read, write

Message = dict[str, Any]
Change = Callable[[Message], None]

CODE = "transformation.invalid"
MAX_STEPS = 100
MAX_TESTS = 20
MAX_TABLE = 5_000
MAX_PARTS = 20
MAX_NAME = 120
MAX_SEPARATOR = 20
# The id guards against duplicates and the key names the source: neither is for steps to touch.
UNTOUCHABLE = {"messageId", "writeKey"}
COMMON: dict[str, Any] = {"name": str, "op": str, "when": (dict, type(None)), "tests": list}


@dataclass(frozen=True, slots=True)
class Example:
    """A test: what goes in, what must come out; None: the message is filtered out."""

    name: str
    given: Message
    expected: Message | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `change` None filters out what the condition holds for (`keeps`: what it does not hold for)."""

    name: str
    applies: Condition | None
    change: Change | None
    keeps: bool = False
    examples: tuple[Example, ...] = ()

    def run(self, message: Message, kind: str) -> bool:
        """Change the message in place; False if it is filtered out."""
        applies = self.applies is None or self.applies(message, kind)
        if self.change is None:
            return applies is self.keeps
        if applies:
            self.change(message)
        return True


@dataclass(frozen=True, slots=True)
class Failure:
    """A test whose outcome was another: the path of the test, and where the outcome differs first."""

    path: str
    name: str
    differs_at: str
    outcome: Message | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Transformations:
    """All steps of a source, and the tests of the list as a whole."""

    steps: tuple[Step, ...]
    examples: tuple[Example, ...] = ()

    def run(self, message: Message, endpoint_type: str) -> bool:
        """Change a message in place.

        Parameters
        ----------
        message : dict
            An item as it came.
        endpoint_type : str
            The type that the address implies, where the message has none.

        Returns
        -------
        bool
            False if it is filtered out.
        """
        for step in self.steps:
            kind = message.get("type") or endpoint_type
            if not step.run(message, kind if kind.__class__ is str else ""):
                return False
        return True

    def failures(self) -> list[Failure]:
        """Run every test and return those that fail."""
        found = []
        for place, step in enumerate(self.steps):
            alone = Transformations((step,))
            found += [
                failure
                for number, example in enumerate(step.examples)
                if (failure := _try(alone, example, f"steps[{place}].tests[{number}]")) is not None
            ]
        return found + [
            failure
            for number, example in enumerate(self.examples)
            if (failure := _try(self, example, f"tests[{number}]")) is not None
        ]


def _try(transformations: Transformations, example: Example, path: str) -> Failure | None:
    message = copy.deepcopy(example.given)
    outcome = message if transformations.run(message, "") else None
    where = _difference(outcome, example.expected, "")
    return None if where is None else Failure(path, example.name, where or "the whole message", outcome)


def _difference(left: Any, right: Any, path: str) -> str | None:
    """Return where two values differ first; None if they do not."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            inner = f"{path}.{name}" if path else name
            if name not in left or name not in right:
                return inner
            if (found := _difference(left[name], right[name], inner)) is not None:
                return found
        return None
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for place, (one, other) in enumerate(zip(left, right, strict=True)):
            if (found := _difference(one, other, f"{path}[{place}]")) is not None:
                return found
        return None
    return None if same(left, right) else path


def compile_transformations(definition: Any) -> Transformations:
    """Check and compile a definition.

    Parameters
    ----------
    definition : object
        ``{"steps": [{"op", "name"?, "when"?, "tests"?, …}], "tests"?: [{"name"?, "input", "output"}]}``. The operations
        and their members are those of `OPERATIONS`.

    Raises
    ------
    InvalidTreatment
        Naming every fault. Tests are not run: see `Transformations.failures`.
    """
    faults = Faults(CODE)
    given = members(definition, "", {"steps": list, "tests": list}, faults)
    listed = given.get("steps", [])
    if len(listed) > MAX_STEPS:
        faults.add("steps", f"At most {MAX_STEPS} steps.")
    steps = [_step(one, f"steps[{place}]", faults) for place, one in enumerate(listed[:MAX_STEPS])]
    examples = _examples(given.get("tests", []), "tests", faults)
    faults.end()
    return Transformations(tuple(step for step in steps if step is not None), examples)


def _step(given: Any, path: str, faults: Faults) -> Step | None:
    name = given.get("op") if isinstance(given, dict) else None
    operation = OPERATIONS.get(name) if isinstance(name, str) else None
    if operation is None:
        faults.add(f"{path}.op", f"There is no such operation. Operations: {', '.join(OPERATIONS)}.")
        return None
    allowed, make = operation
    read_members = members(given, path, {**COMMON, **allowed}, faults)
    if len(read_members.get("name", "")) > MAX_NAME:
        faults.add(f"{path}.name", f"A name has at most {MAX_NAME} characters.")
    applies = compile_condition(read_members.get("when"), f"{path}.when", faults)
    if name == "filter" and applies is None:
        faults.add(f"{path}.when", "A filter needs a condition: without one it would stop every message.")
    change = make(read_members, path, faults) if make is not None else None
    examples = _examples(read_members.get("tests", []), f"{path}.tests", faults)
    return Step(read_members.get("name", ""), applies, change, bool(read_members.get("keep")), examples)


def _examples(given: list[Any], path: str, faults: Faults) -> tuple[Example, ...]:
    if len(given) > MAX_TESTS:
        faults.add(path, f"At most {MAX_TESTS} tests.")
    found = []
    for place, one in enumerate(given[:MAX_TESTS]):
        where = f"{path}[{place}]"
        read_members = members(one, where, {"name": str, "input": dict, "output": (dict, type(None))}, faults)
        if "input" not in read_members or "output" not in read_members:
            faults.add(where, "A test needs an input (a message) and an output (a message, or null: filtered out).")
            continue
        found.append(Example(read_members.get("name", ""), read_members["input"], read_members["output"]))
    return tuple(found)


def _target(given: Any, path: str, faults: Faults, *, lists: bool = False) -> Path | None:
    """Return a path that a step may write to."""
    parts = read_path(given, path, faults)
    if parts is None:
        return None
    if parts[0] in UNTOUCHABLE:
        faults.add(path, f"{parts[0]} cannot be changed.")
        return None
    if EACH in parts and not lists:
        faults.add(path, "[] cannot stand here: name one place.")
        return None
    return parts


def _rename(given: dict[str, Any], path: str, faults: Faults) -> Change | None:
    source = _target(given.get("path"), f"{path}.path", faults, lists=True)
    target = _target(given.get("to"), f"{path}.to", faults, lists=True)
    if source is None or target is None:
        return None
    overwrite = given.get("overwrite", False)
    if EACH in source or EACH in target:
        if source[:-1] != target[:-1] or source[-1] is EACH or target[-1] is EACH:
            faults.add(f"{path}.to", "Within a list a member keeps its place: only the last name may differ.")
            return None
        new = target[-1]

        def rename_within(message: Message) -> None:
            for container, key in list(places(message, source)):
                if overwrite or new not in container:
                    container[new] = container.pop(key)

        return rename_within

    def rename(message: Message) -> None:
        for container, key in list(places(message, source)):
            if (overwrite or not any(places(message, target))) and source != target:
                value = container.pop(key)
                if not write(message, target, value):
                    container[key] = value

    return rename


def _drop(given: dict[str, Any], path: str, faults: Faults) -> Change | None:
    listed = given.get("paths", [given["path"]] if "path" in given else [])
    if not listed or len(listed) > MAX_PARTS or ("path" in given and "paths" in given):
        faults.add(f"{path}.paths", f"Name one path, or 1 to {MAX_PARTS} paths.")
        return None
    targets = []
    for place, one in enumerate(listed):
        target = _target(one, f"{path}.paths[{place}]", faults, lists=True)
        if target is not None and target[-1] is EACH:
            faults.add(f"{path}.paths[{place}]", "Name the list itself to drop it.")
        elif target is not None:
            targets.append(target)

    def drop(message: Message) -> None:
        for target in targets:
            for container, key in list(places(message, target)):
                del container[key]

    return drop


def _set(given: dict[str, Any], path: str, faults: Faults) -> Change | None:
    target = _target(given.get("path"), f"{path}.path", faults)
    if "value" not in given:
        faults.add(f"{path}.value", "A value is missing.")
    if target is None:
        return None
    value, only_if_missing = given.get("value"), given.get("only_if_missing", False)
    compound = isinstance(value, dict | list)

    def set_value(message: Message) -> None:
        if not only_if_missing or read(message, target) is None:
            write(message, target, copy.deepcopy(value) if compound else value)

    return set_value


def fold(value: Any) -> str:
    """Return how a value is looked up where case and outer space do not count."""
    return " ".join(as_text(value).split()).casefold()


def as_text(value: Any) -> str:
    """Return a single JSON value as text; ``""`` for null, objects and lists."""
    if value.__class__ is str:
        return str(value)
    if value is True or value is False:
        return "true" if value else "false"
    return str(value) if value.__class__ in (int, float) else ""


def _map(given: dict[str, Any], path: str, faults: Faults) -> Change | None:
    target = _target(given.get("path"), f"{path}.path", faults, lists=True)
    table = given.get("values")
    if not table or len(table) > MAX_TABLE:
        faults.add(f"{path}.values", f"An object of 1 to {MAX_TABLE} old values and their new ones is missing.")
        return None
    otherwise = given.get("otherwise", "keep")
    if otherwise not in {"keep", "drop", "set"}:
        faults.add(f"{path}.otherwise", "This is keep, drop or set.")
    if (otherwise == "set") is not ("default" in given):
        faults.add(f"{path}.default", "A default stands with otherwise: set, and only there.")
    if target is None:
        return None
    key_of = as_text if given.get("exact", False) else fold
    known = {key_of(old): new for old, new in table.items()}
    default = given.get("default")

    def map_value(message: Message) -> None:
        for container, key in list(places(message, target)):
            value = container[key]
            if value.__class__ in (dict, list):
                continue
            looked_up = key_of(value)
            if looked_up in known:
                container[key] = known[looked_up]
            elif otherwise == "set":
                container[key] = default
            elif otherwise == "drop" and container.__class__ is dict:
                del container[key]

    return map_value


def _split(given: dict[str, Any], path: str, faults: Faults) -> Change | None:
    source = read_path(given.get("path"), f"{path}.path", faults)
    separator = _separator(given, path, faults)
    wanted = given.get("to", [])
    if source is None or separator is None:
        return None
    if EACH in source:
        faults.add(f"{path}.path", "[] cannot stand here: name one place.")
    if isinstance(wanted, str):
        whole = _target(wanted, f"{path}.to", faults)
        if whole is None:
            return None

        def split_to_list(message: Message) -> None:
            value = read(message, source)
            if value.__class__ is str:
                write(message, whole, [part for part in map(str.strip, value.split(separator)) if part])

        return split_to_list
    if not 2 <= len(wanted) <= MAX_PARTS:
        faults.add(f"{path}.to", f"Name 2 to {MAX_PARTS} paths for the parts, or one text for a list of all.")
        return None
    targets = [_target(one, f"{path}.to[{place}]", faults) for place, one in enumerate(wanted)]

    def split(message: Message) -> None:
        value = read(message, source)
        if value.__class__ is not str:
            return
        for target, part in zip(targets, value.split(separator, len(targets) - 1), strict=False):
            if target is not None and part.strip():
                write(message, target, part.strip())

    return split


def _join(given: dict[str, Any], path: str, faults: Faults) -> Change | None:
    target = _target(given.get("to"), f"{path}.to", faults)
    separator = _separator(given, path, faults)
    listed = given.get("paths", [])
    if not 2 <= len(listed) <= MAX_PARTS:
        faults.add(f"{path}.paths", f"Name 2 to {MAX_PARTS} paths.")
        return None
    sources = [read_path(one, f"{path}.paths[{place}]", faults) for place, one in enumerate(listed)]
    if target is None or separator is None:
        return None

    def join(message: Message) -> None:
        values = [container[key] for source in sources if source for container, key in places(message, source)]
        texts = [text.strip() for text in map(as_text, values) if text.strip()]
        if texts:
            write(message, target, separator.join(texts))

    return join


def _separator(given: dict[str, Any], path: str, faults: Faults) -> str | None:
    separator = given.get("separator")
    if not isinstance(separator, str) or not 1 <= len(separator) <= MAX_SEPARATOR:
        faults.add(f"{path}.separator", f"A separator of 1 to {MAX_SEPARATOR} characters is missing.")
        return None
    return separator


Make = Callable[[dict[str, Any], str, Faults], Change | None]
# Operation → its own members, and what makes a change of them; None: a filter, which changes nothing.
OPERATIONS: dict[str, tuple[dict[str, Any], Make | None]] = {
    "rename": ({"path": str, "to": str, "overwrite": bool}, _rename),
    "drop": ({"path": str, "paths": list}, _drop),
    "set": ({"path": str, "value": object, "only_if_missing": bool}, _set),
    "filter": ({"keep": bool}, None),
    "map": ({"path": str, "values": dict, "otherwise": str, "default": object, "exact": bool}, _map),
    "split": ({"path": str, "separator": str, "to": (list, str)}, _split),
    "join": ({"paths": list, "separator": str, "to": str}, _join),
}
