"""segment, list, consent, identity: conditions on what other parts of the product know about the person."""

# ruff: noqa: ARG002 - every kind of condition has the same signature

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from segments.language.durations import Duration
from segments.language.nodes import Node, Reading
from segments.language.person import Consent, Moment, Person
from segments.language.plan import TICK_SQL, Frame, Leaf, Plan, Rows, Test, negated
from segments.language.reading import (
    fault,
    join,
    read_choice,
    read_list,
    read_object,
    read_text,
    read_window_duration,
)
from segments.language.scans import range_of
from segments.language.windows import Window, earliest, read_window
from segments.language.zones import TICK, shift, steady_until

SEGMENT_OPERATORS = ("in", "not_in", "entered", "left", "held")
CONSENT_STATES = ("granted", "denied", "withdrawn", "objected", "expired", "pending", "unknown")
IDENTITY_OPERATORS = ("exists", "verified", "missing")


@dataclass(frozen=True, slots=True)
class InSegment(Node):
    """Membership of another segment, or a change of it (rule 9)."""

    key: str
    operator: str
    window: Window | None
    held: Duration | None
    type = "segment"
    label = "Other segment"

    def sentence(self) -> str:
        if self.operator == "held" and self.held:
            return f"has been in segment “{self.key}” for {self.held.words()}"
        if self.window:
            return f"{self.operator} segment “{self.key}” {self.window.words()}"
        return f"is {'not ' if self.operator == 'not_in' else ''}in segment “{self.key}”"

    def tokens(self) -> set[str]:
        return {f"segment:{self.key}"}

    def holds(self, person: Person, at: Moment) -> bool:
        if self.operator in {"in", "not_in"}:
            nested = at.inline.get(self.key)
            inside = nested.match.holds(person, at.of(nested)) if nested else self.key in person.segments
            return inside is not (self.operator == "not_in")
        if self.operator == "held" and self.held:
            since = person.segments.get(self.key)
            return since is not None and since <= shift(at.now, self.held, at.zone_for(person), -1)
        return bool(self._changes(person, at))

    def observe(self, person: Person, at: Moment) -> Any:
        since = person.segments.get(self.key)
        if self.window:
            return [moment.isoformat() for moment in self._changes(person, at)]
        return {"since": since.isoformat()} if since else None

    def _changes(self, person: Person, at: Moment) -> list[datetime]:
        assert self.window is not None
        since, until = self.window.bounds(at.now, at.zone_for(person))
        return sorted(
            entry.at
            for entry in person.entries
            if entry.segment == self.key
            and entry.entered is (self.operator == "entered")
            and entry.at < until
            and (since is None or entry.at >= since)
        )

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        tz = at.zone_for(person)
        if self.held:
            since, edge = person.segments.get(self.key), shift(at.now, self.held, tz, -1)
            return since + (at.now - edge) if since is not None and since > edge else None
        if self.window is None:
            nested = at.inline.get(self.key)
            return nested.match.next_change(person, at.of(nested)) if nested else None
        wanted = self.operator == "entered"
        times = [e.at for e in person.entries if e.segment == self.key and e.entered is wanted]
        # A change of this very moment is written by the run that is going on; it lies in the window right after it.
        edges = [time + TICK for time in times if time >= at.now]
        if self.window.moves:
            longer, shorter = self.window.distances(at.now, tz)
            seen = [time for time in times if at.now - longer <= time < at.now]
            if self.window.open_ended:
                edges += [max(seen) + longer + TICK] if seen else []
            else:
                edges += [time + (shorter if time >= at.now - shorter else longer) + TICK for time in seen]
        return earliest(edges)

    def runs_at(self, frame: Frame) -> datetime | None:
        now, zones = frame.plan.now, frame.zones()
        if self.held:
            return earliest(steady_until(now, self.held, tz, -1) for tz in zones)
        if self.window:
            return earliest(self.window.runs_at(now, tz) for tz in zones)
        nested = frame.plan.inline.get(self.key)
        return nested.match.runs_at(frame.of(nested)) if nested else None

    def compile(self, frame: Frame) -> Test:
        plan = frame.plan
        if self.operator in {"in", "not_in"}:
            nested = plan.inline.get(self.key)
            test: Test = (
                nested.match.compile(frame.of(nested))
                if nested
                else Leaf(f"{self._membership(plan)}.profile_id is not null")
            )
            return test if self.operator == "in" else negated(test)
        if self.held:
            source, held, main = self._membership(plan), self.held, plan.main
            edge = frame.per_zone(main, lambda tz: shift(plan.now, held, tz, -1), "timestamptz", "since")
            next_at = None
            if plan.timed:
                away = frame.per_zone(main, lambda tz: plan.now - shift(plan.now, held, tz, -1), "interval", "held")
                next_at = f"case when {source}.since > {edge} then {source}.since + {away} end"
            return Leaf(f"{source}.since <= {edge}", next_at)
        return self._compile_changes(frame)

    def _id_sql(self, plan: Plan) -> str:
        return f"(select id from segments_segment where key = {plan.bind(self.key, 'segment')})"

    def _membership(self, plan: Plan) -> str:
        def render() -> str:
            return (
                "select m.profile_id, m.since\n    from segments_membership m\n"
                f"    where m.segment_id = {self._id_sql(plan)}"
                f"{plan.only('m.profile_id')}"
            )

        return plan.source(("membership", self.key), f"in_{self.key}", render)

    def _compile_changes(self, frame: Frame) -> Test:
        plan, window = frame.plan, self.window
        assert window is not None

        def render() -> str:
            rows = Rows("m.profile_id", "t.traits")
            inside = range_of(frame, rows, window).test("m", "at")
            columns = f"max(m.at) filter (where {inside}) as last_at"
            if plan.timed:
                columns += f",\n        {self._next_sql(frame, rows, inside)} as next_at"
            return (
                f"select m.profile_id, {columns}\n    from segments_membershipchange m{rows.joins()}\n"
                f"    where m.segment_id = {self._id_sql(plan)}"
                f" and m.kind = {1 if self.operator == 'entered' else 2}"
                f" and m.reason ->> 'kind' is distinct from 'merge'{plan.only('m.profile_id')}\n"
                "    group by m.profile_id"
            )

        identity = (self.operator, self.key, window, frame.timezone)
        source = plan.source(identity, f"{self.operator}_{self.key}", render)
        return Leaf(f"{source}.last_at is not null", f"{source}.next_at" if plan.timed else None)

    def _next_sql(self, frame: Frame, rows: Rows, inside: str) -> str:
        plan, window = frame.plan, self.window
        assert window is not None
        upcoming = f"min(m.at) filter (where m.at >= {plan.now_sql()}) + {TICK_SQL}"
        if not window.moves:
            return upcoming
        longer = frame.per_zone(rows, lambda tz: window.distances(plan.now, tz)[0], "interval", "window")
        if window.open_ended:
            leaving = f"max(m.at + {longer}) filter (where {inside}) + {TICK_SQL}"
        else:
            shorter = frame.per_zone(rows, lambda tz: window.distances(plan.now, tz)[1], "interval", "window")
            until = range_of(frame, rows, window).until
            seen = range_of(frame, rows, window, up_to_now=True).test("m", "at")
            edge = f"m.at + case when m.at >= {until} then {shorter} else {longer} end"
            leaving = f"min({edge}) filter (where {seen}) + {TICK_SQL}"
        return f"least({upcoming}, {leaving})"


@dataclass(frozen=True, slots=True)
class OnList(Node):
    """A place on a static list."""

    key: str
    type = "list"
    label = "Static list"

    def sentence(self) -> str:
        return f"is on list “{self.key}”"

    def tokens(self) -> set[str]:
        return {f"list:{self.key}"}

    def holds(self, person: Person, at: Moment) -> bool:
        return self.key in person.lists

    def observe(self, person: Person, at: Moment) -> Any:
        return self.key in person.lists

    def compile(self, frame: Frame) -> Test:
        plan = frame.plan

        def render() -> str:
            return (
                "select l.profile_id\n    from segments_listmember l\n"
                f"    where l.list_id = (select id from segments_staticlist where key = {plan.bind(self.key, 'list')})"
                f"{plan.only('l.profile_id')}"
            )

        return Leaf(f"{plan.source(('list', self.key), f'on_{self.key}', render)}.profile_id is not null")


@dataclass(frozen=True, slots=True)
class ConsentIs(Node):
    """The state of consent for a purpose, on a channel or for all channels (rules 10, 19)."""

    purpose: str
    channel: str
    states: tuple[str, ...]
    type = "consent"
    label = "Consent"

    def sentence(self) -> str:
        channel = f" by {self.channel}" if self.channel else ""
        return f"consent to “{self.purpose}”{channel} is {' or '.join(self.states)}"

    def tokens(self) -> set[str]:
        return {f"consent:{self.purpose}"}

    def holds(self, person: Person, at: Moment) -> bool:
        return self.observe(person, at) in self.states

    def _cell(self, person: Person) -> Consent | None:
        cells = [
            cell for cell in person.consents if cell.purpose == self.purpose and cell.channel in {"", self.channel}
        ]
        return max(cells, key=lambda cell: (cell.effective_at, cell.recorded_at, cell.decision_id), default=None)

    def observe(self, person: Person, at: Moment) -> Any:
        cell = self._cell(person)
        if cell is None:
            return "unknown"
        expired = cell.state == "granted" and cell.expires_at is not None and cell.expires_at <= at.now
        return "expired" if expired else cell.state

    def next_change(self, person: Person, at: Moment) -> datetime | None:
        cell = self._cell(person)
        if cell is None or cell.state != "granted" or cell.expires_at is None or cell.expires_at <= at.now:
            return None
        return cell.expires_at

    def compile(self, frame: Frame) -> Test:
        plan = frame.plan
        source = plan.source(
            ("consent", self.purpose, self.channel),
            f"consent_{self.purpose}_{self.channel}".rstrip("_"),
            lambda: self._render(plan),
        )
        now = plan.now_sql()
        expired = f"{source}.state = 'granted' and {source}.expires_at <= {now}"
        state = f"case when {expired} then 'expired' else coalesce({source}.state, 'unknown') end"
        wanted = plan.bind(list(self.states), "states")
        next_at = None
        if plan.timed:
            open_grant = f"{source}.state = 'granted' and {source}.expires_at > {now}"
            next_at = f"case when {open_grant} then {source}.expires_at end"
        if self.states == ("granted",):
            return Leaf(f"{source}.state = 'granted' and ({source}.expires_at > {now}) is not false", next_at)
        if "unknown" not in self.states:
            return Leaf(f"{source}.state is not null and {state} = any({wanted})", next_at)
        return Leaf(f"{state} = any({wanted})", next_at)

    def _render(self, plan: Plan) -> str:
        purpose = plan.bind(self.purpose, "purpose")

        def cell(channel: str) -> str:
            return (
                "select c.profile_id, c.state, c.expires_at, c.effective_at, c.recorded_at, c.decision_id "
                "from consent_current c "
                f"where c.purpose_id = (select id from consent_purpose where key = {purpose}) "
                f"and c.channel = {plan.bind(channel, 'channel')}{plan.only('c.profile_id')}"
            )

        if not self.channel:
            return cell("")
        order = "({0}.effective_at, {0}.recorded_at, {0}.decision_id)"
        later = f"general.profile_id is null or {order.format('own')} > {order.format('general')}"
        picked = ", ".join(
            f"case when {later} then own.{column} else general.{column} end as {column}"
            for column in ("state", "expires_at")
        )
        return (
            f"select profile_id, {picked}\n    from ({cell(self.channel)}) own\n"
            f"    full join ({cell('')}) general using (profile_id)"
        )


@dataclass(frozen=True, slots=True)
class HasIdentifier(Node):
    """An identifier of a type: known, verified, or missing."""

    namespace: str
    operator: str
    type = "identity"
    label = "Identifier"

    def sentence(self) -> str:
        return {
            "exists": f"has an identifier “{self.namespace}”",
            "verified": f"has a verified identifier “{self.namespace}”",
            "missing": f"has no identifier “{self.namespace}”",
        }[self.operator]

    def tokens(self) -> set[str]:
        return {f"identifier:{self.namespace}"}

    def holds(self, person: Person, at: Moment) -> bool:
        held = [each for each in person.identifiers if each.type == self.namespace]
        if self.operator == "verified":
            return any(each.verified for each in held)
        return bool(held) is (self.operator == "exists")

    def observe(self, person: Person, at: Moment) -> Any:
        return sum(each.type == self.namespace for each in person.identifiers)

    def compile(self, frame: Frame) -> Test:
        plan, verified = frame.plan, self.operator == "verified"

        def render() -> str:
            return (
                "select distinct i.profile_id\n    from profiles_identifier i\n"
                "    where i.type_id = (select id from profiles_identifiertype where key = "
                f"{plan.bind(self.namespace, 'namespace')}){' and i.verified' if verified else ''}"
                f"{plan.only('i.profile_id')}"
            )

        label = f"{'verified' if verified else 'has'}_{self.namespace}"
        source = plan.source(("identity", self.namespace, verified), label, render)
        leaf = Leaf(f"{source}.profile_id is not null")
        return negated(leaf) if self.operator == "missing" else leaf


def read_segment_node(data: Mapping[str, Any], reading: Reading) -> InSegment:
    """Read a segment node."""
    data = read_object(data, reading.path, required=("type", "key"), optional=("op", "window", "for"))
    operator = read_choice(data.get("op", "in"), join(reading.path, "op"), SEGMENT_OPERATORS)
    window, held = data.get("window"), data.get("for")
    takes_window, takes_for = operator in {"entered", "left"}, operator == "held"
    for key, given, takes in (("window", window, takes_window), ("for", held, takes_for)):
        if (given is not None) is not takes:
            code = "missing_key" if takes else "not_allowed"
            raise fault(join(reading.path, key), code, f"{operator} {'needs' if takes else 'takes no'} {key}")
    return InSegment(
        reading.path,
        read_text(data["key"], join(reading.path, "key")),
        operator,
        read_window(window, join(reading.path, "window")) if takes_window else None,
        read_window_duration(held, join(reading.path, "for")) if takes_for else None,
    )


def read_list_node(data: Mapping[str, Any], reading: Reading) -> OnList:
    """Read a list node."""
    data = read_object(data, reading.path, required=("type", "key"))
    return OnList(reading.path, read_text(data["key"], join(reading.path, "key")))


def read_consent_node(data: Mapping[str, Any], reading: Reading) -> ConsentIs:
    """Read a consent node."""
    data = read_object(data, reading.path, required=("type", "purpose", "status"), optional=("channel",))
    channel = data.get("channel")
    states = read_list(
        data["status"],
        join(reading.path, "status"),
        lambda item, path: read_choice(item, path, CONSENT_STATES),
        most=len(CONSENT_STATES),
    )
    return ConsentIs(
        reading.path,
        read_text(data["purpose"], join(reading.path, "purpose")),
        "" if channel is None else read_text(channel, join(reading.path, "channel")),
        tuple(dict.fromkeys(states)),
    )


def read_identity_node(data: Mapping[str, Any], reading: Reading) -> HasIdentifier:
    """Read an identity node."""
    data = read_object(data, reading.path, required=("type", "namespace", "op"))
    return HasIdentifier(
        reading.path,
        read_text(data["namespace"], join(reading.path, "namespace")),
        read_choice(data["op"], join(reading.path, "op"), IDENTITY_OPERATORS),
    )
