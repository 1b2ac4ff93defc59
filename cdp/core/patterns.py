"""Patterns that people write: the part of RE2 that every engine reads alike, matched in linear time.

Used by the operator `matches` of segments and by `pattern` of tracking plans. Read are literals, `.`, classes,
`\\d \\w \\s` and their complements, groups, `|`, `* + ? {m,n}` (lazy forms too: whether a text matches is the same),
`^` and `$` as the ends of the whole text. Refused: back references, look-around, word boundaries, flags. A pattern is
parsed once; it is written out for PostgreSQL, or run as a set of states, so that no pattern can take more than length
times size steps.
"""

from collections.abc import Iterable
from dataclasses import dataclass

MAX_PATTERN = 200
MAX_REPEAT = 100
MAX_STATES = 2_000

_DIGITS = (("0", "9"),)
_WORD = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_SPACE = (("\t", "\n"), ("\f", "\r"), (" ", " "))
_SHORT = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
_SPECIAL = set("\\^$.[]|()*+?{}")


class PatternFault(ValueError):
    """The pattern uses something outside the supported part; the message says what."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of ranges, or outside of them."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def matches(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) is not self.negated


@dataclass(frozen=True, slots=True)
class Edge:
    """The start or the end of the text."""

    start: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """Parts one after the other."""

    parts: tuple["Part", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    options: tuple["Part", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part from `low` to `high` times; `high` None is without end."""

    part: "Part"
    low: int
    high: int | None


Part = Chars | Edge | Sequence | Choice | Repeat


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self) -> str:
        char = self.peek()
        self.at += 1
        return char

    def choice(self) -> Part:
        options = [self.sequence()]
        while self.peek() == "|":
            self.take()
            options.append(self.sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self) -> Part:
        parts: list[Part] = []
        while self.peek() and self.peek() not in "|)":
            parts.append(self.repeated())
        return Sequence(tuple(parts))

    def repeated(self) -> Part:
        part = self.single()
        while self.peek() and self.peek() in "*+?{":
            low, high = self.bounds()
            if isinstance(part, Edge | Repeat):
                raise PatternFault("only a character, class or group can be repeated")
            part = Repeat(part, low, high)
            if self.peek() == "?":
                self.take()
        return part

    def bounds(self) -> tuple[int, int | None]:
        sign = self.take()
        if sign != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at : end].partition(",") if end > 0 else ("", "", "")
        if not (low.isdecimal() and low.isascii() and (not high or (high.isdecimal() and high.isascii()))):
            raise PatternFault("write repetition as {2}, {2,} or {2,5}; a literal brace as \\{")
        self.at = end + 1
        least, most = int(low), (int(high) if high else None if comma else int(low))
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            raise PatternFault(f"repeat from fewer to more, at most {MAX_REPEAT} times")
        return least, most

    def single(self) -> Part:
        char = self.take()
        if char == "(":
            if self.text.startswith("?:", self.at):
                self.at += 2
            elif self.peek() == "?":
                raise PatternFault("look-around, named groups and flags are not supported")
            inner = self.choice()
            if self.take() != ")":
                raise PatternFault("a group is not closed")
            return inner
        if char == "[":
            return self.char_class()
        if char == "\\":
            return self.escape()
        if char == ".":
            return Chars((("\n", "\n"),), negated=True)
        if char in "^$":
            return Edge(start=char == "^")
        if char in "*+?{})]":
            raise PatternFault(f"write a literal {char} as \\{char}")
        return Chars(((char, char),))

    def escape(self) -> Chars:
        char = self.take()
        if char and char.lower() in _SHORT:
            return Chars(_SHORT[char.lower()], negated=char.isupper())
        if char in _CONTROL:
            return Chars(((_CONTROL[char], _CONTROL[char]),))
        if not char or (char.isalnum() and char.isascii()) or not char.isascii():
            raise PatternFault(f"\\{char} is not supported")
        return Chars(((char, char),))

    def char_class(self) -> Chars:
        negated = self.peek() == "^"
        if negated:
            self.take()
        ranges: list[tuple[str, str]] = []
        first = True
        while True:
            char = self.take()
            if not char:
                raise PatternFault("a class is not closed")
            if char == "]" and not first:
                break
            first = False
            if char == "[":
                raise PatternFault("write a literal [ in a class as \\[")
            if char == "\\":
                inner = self.escape()
                if inner.negated:
                    raise PatternFault("\\D, \\W and \\S do not work inside a class")
                if len(inner.ranges) > 1 or inner.ranges[0][0] != inner.ranges[0][1]:
                    ranges += inner.ranges
                    continue
                char = inner.ranges[0][0]
            ranges.append(self.class_range(char))
        return Chars(tuple(ranges), negated)

    def class_range(self, low: str) -> tuple[str, str]:
        if self.peek() != "-" or self.text[self.at + 1 : self.at + 2] in {"]", ""}:
            return low, low
        self.take()
        high = self.take()
        if high == "\\":
            inner = self.escape()
            if len(inner.ranges) > 1 or inner.negated:
                raise PatternFault("a range ends in a single character")
            high = inner.ranges[0][0]
        if high < low:
            raise PatternFault(f"the range {low}-{high} is empty")
        return low, high


def parse_pattern(text: str) -> Part:
    """Read a pattern.

    Raises
    ------
    PatternFault
        If it is too long, or uses something that engines read differently.
    """
    if not text or len(text) > MAX_PATTERN:
        raise PatternFault(f"a pattern has 1 to {MAX_PATTERN} characters")
    parser = _Parser(text)
    part = parser.choice()
    if parser.peek():
        raise PatternFault("a ) has no (")
    if _size(part) > MAX_STATES:
        raise PatternFault("the repetitions multiply to too large a pattern")
    return part


def _size(part: Part) -> int:
    if isinstance(part, Sequence):
        return sum(map(_size, part.parts)) + 1
    if isinstance(part, Choice):
        return sum(map(_size, part.options)) + 1
    if isinstance(part, Repeat):
        return _size(part.part) * max(part.high or part.low, 1) + 1
    return 1


def postgres_pattern(part: Part) -> str:
    """Write the pattern as a PostgreSQL regular expression of the same meaning."""
    if isinstance(part, Edge):
        return "^" if part.start else "$"
    if isinstance(part, Sequence):
        return "".join(map(postgres_pattern, part.parts)) or "(?:)"
    if isinstance(part, Choice):
        return "(?:" + "|".join(map(postgres_pattern, part.options)) + ")"
    if isinstance(part, Repeat):
        high = "" if part.high is None else part.high
        return f"(?:{postgres_pattern(part.part)}){{{part.low},{high}}}"
    if len(part.ranges) == 1 and part.ranges[0][0] == part.ranges[0][1] and not part.negated:
        return _literal(part.ranges[0][0])
    inner = "".join(_literal(low) if low == high else f"{_literal(low)}-{_literal(high)}" for low, high in part.ranges)
    return f"[{'^' if part.negated else ''}{inner}]"


def _literal(char: str) -> str:
    return char if char.isalnum() and char.isascii() else f"\\U{ord(char):08x}"


def pattern_matches(part: Part, text: str) -> bool:
    """Tell whether the pattern occurs anywhere in the text."""
    program = _Program(part)
    states: set[int] = set()
    for position in range(len(text) + 1):
        ends = (position == 0, position == len(text))
        program.follow(states, 0, ends)
        if program.accept in states:
            return True
        if position < len(text):
            states = program.step(states, text[position], (False, position + 1 == len(text)))
    return False


class _Program:
    """States of the pattern: `moves` consume a character, `free` do not."""

    def __init__(self, part: Part) -> None:
        self.moves: dict[int, tuple[Chars, int]] = {}
        self.free: dict[int, list[tuple[Edge | None, int]]] = {}
        self.count = 1
        self.accept = self.build(part, 0)

    def state(self) -> int:
        self.count += 1
        return self.count - 1

    def link(self, source: int, target: int, edge: Edge | None = None) -> None:
        self.free.setdefault(source, []).append((edge, target))

    def build(self, part: Part, start: int) -> int:
        if isinstance(part, Chars):
            entry, end = self.state(), self.state()
            self.link(start, entry)
            self.moves[entry] = (part, end)
            return end
        if isinstance(part, Edge):
            end = self.state()
            self.link(start, end, part)
            return end
        if isinstance(part, Sequence):
            for inner in part.parts:
                start = self.build(inner, start)
            return start
        end = self.state()
        if isinstance(part, Choice):
            for option in part.options:
                entry = self.state()
                self.link(start, entry)
                self.link(self.build(option, entry), end)
            return end
        for _ in range(part.low):
            start = self.build(part.part, start)
        if part.high is None:
            loop = self.state()
            self.link(start, loop)
            self.link(self.build(part.part, loop), loop)
            self.link(loop, end)
            return end
        for _ in range(part.high - part.low):
            self.link(start, end)
            start = self.build(part.part, start)
        self.link(start, end)
        return end

    def follow(self, states: set[int], state: int, ends: tuple[bool, bool]) -> None:
        waiting: list[int] = [state]
        while waiting:
            current = waiting.pop()
            if current in states:
                continue
            states.add(current)
            for edge, target in self.free.get(current, ()):
                if edge is None or ends[0 if edge.start else 1]:
                    waiting.append(target)

    def step(self, states: Iterable[int], char: str, ends: tuple[bool, bool]) -> set[int]:
        after: set[int] = set()
        for state in states:
            move = self.moves.get(state)
            if move and move[0].matches(char):
                self.follow(after, move[1], ends)
        return after


class Matcher:
    """A pattern for many texts: the sets of states that texts lead to are remembered, so a character costs a look-up.

    At most `MAX_REMEMBERED` steps are; then the memory starts anew, and the time stays linear.
    """

    MAX_REMEMBERED = 4_000

    def __init__(self, part: Part) -> None:
        self._program = _Program(part)
        self._steps: dict[tuple[frozenset[int], str, bool], frozenset[int]] = {}
        self._first = {last: self._start((True, last)) for last in (False, True)}

    def matches(self, text: str) -> bool:
        """Tell whether the pattern occurs anywhere in the text."""
        accept = self._program.accept
        length = len(text)
        states = self._first[length == 0]
        steps = self._steps
        for position, char in enumerate(text, start=1):
            if accept in states:
                return True
            key = (states, char, position == length)
            found = steps.get(key)
            states = self._step(key) if found is None else found
        return accept in states

    def _start(self, ends: tuple[bool, bool]) -> frozenset[int]:
        states: set[int] = set()
        self._program.follow(states, 0, ends)
        return frozenset(states)

    def _step(self, key: tuple[frozenset[int], str, bool]) -> frozenset[int]:
        states, char, last = key
        ends = (False, last)
        after = self._program.step(states, char, ends)
        self._program.follow(after, 0, ends)
        if len(self._steps) >= self.MAX_REMEMBERED:
            self._steps.clear()
        found = self._steps[key] = frozenset(after)
        return found
