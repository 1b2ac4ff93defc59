"""Undo is exact: after any messages, merges, undos, splits, blocks and erasures, people are as computed from scratch.

UNDO_EXAMPLES=2000 looks for new examples; without it the same ones are tried in each run.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from consent import decision as rules
from consent.models import Current
from consent.queries.ledger import histories
from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_purpose
from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.running import run_privacy_requests
from profiles.errors import BadBlock, BadMerge, BadSplit, CannotUndo
from profiles.models import Edge, Identifier, Merge, Profile
from profiles.queries.people import name_identifier
from profiles.services.blocking import block_edge, declare_different, lift_block
from profiles.services.steward import merge_profiles, split_profile
from profiles.services.undoing import undo_merge
from segments.queries.lists import Line
from segments.services.lists import add_to_list, create_list
from tests.profiles import oracle
from tests.profiles.sending import process, put
from tests.segments.asking import catch_up, did, segment

SEARCH = int(os.environ.get("UNDO_EXAMPLES", "0"))
EXAMPLES = SEARCH or 40
STEPS = 10
NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)

USERS = ["u1", "u2", "u3"]
BROWSERS = ["a1", "a2", "a3", "a4"]
MAILS = ["one@example.org", "two@example.org"]


@st.composite
def bodies(draw: Any) -> dict[str, Any]:
    """One message of a few people who share devices and addresses."""
    user = draw(st.sampled_from(["", *USERS]))
    browser = draw(st.sampled_from(BROWSERS if not user else ["", *BROWSERS]))
    kind = draw(st.sampled_from(["identify", "identify", "track", "group", "alias"]))
    if kind == "alias":
        return {"type": "alias", "userId": user or "u1", "previousId": draw(st.sampled_from(["a1", "u2", "u3"]))}
    body: dict[str, Any] = {"type": kind, "userId": user, "anonymousId": browser}
    if kind == "identify":
        body["traits"] = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "email": st.sampled_from(MAILS),
                    "plan": st.sampled_from(["free", "pro", None]),
                    "city": st.sampled_from(["Ulm", "Köln"]),
                },
            )
        )
    elif kind == "track":
        body |= {"event": draw(st.sampled_from(["Seen", "Bought"]))}
    else:
        body |= {"groupId": draw(st.sampled_from(["acme", "bee"]))}
    return body


ACTS = st.sampled_from(
    ["send", "send", "send", "undo", "undo", "merge", "split", "block", "different", "lift", "decide", "list", "erase"]
)


class House:
    """Runs acts, each at a moment of its own so that no two statements are equally recent."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.moments = 0
        self.undone = 0
        self.ids: set[str] = set()

    def tick(self) -> datetime:
        self.moments += 1
        return NOW + timedelta(seconds=self.moments)

    def some(self, found: list[Any]) -> Any:
        return self.data.draw(st.sampled_from(found)) if found else None

    def send(self) -> None:
        items = []
        for body in self.data.draw(st.lists(bodies(), min_size=1, max_size=4)):
            at = self.tick()
            items.append({**body, "messageId": f"m-{self.moments}", "timestamp": at.isoformat()})
        # Cut into requests anywhere; the processor takes all of them as one batch.
        cut = self.data.draw(st.integers(0, len(items)))
        together = self.data.draw(st.booleans())
        for part in (items[:cut], items[cut:]):
            if part:
                put(part, at=self.tick())
                if not together:
                    process(now=self.tick())
        process(now=self.tick())

    def undo(self) -> None:
        merge = self.some(list(Merge.objects.filter(undone_at=None).order_by("id")))
        if merge is None:
            return
        try:
            undo_merge(merge_id=merge.pk, actor="test", now=self.tick())
        except CannotUndo:
            event("an undo that found nothing to separate")
            return
        self.undone += 1
        gone = Identifier.objects.filter(pk__in=merge.absorbed_identifier_ids).values_list("profile__uuid", flat=True)
        assert merge.absorbed_uuid in set(gone)

    def merge(self) -> None:
        people = [str(uuid) for uuid in Profile.objects.order_by("id").values_list("uuid", flat=True)]
        if len(people) > 1:
            two = self.data.draw(st.lists(st.sampled_from(people), min_size=2, max_size=2, unique=True))
            try:
                merge_profiles(public_ids=two, reason="test", actor="test", now=self.tick())
            except BadMerge:
                event("a merge of one profile with itself")

    def split(self) -> None:
        profile = self.some(list(Profile.objects.order_by("id")))
        if profile is None:
            return
        held = [(one.type.key, one.value) for one in profile.identifiers.select_related("type").order_by("id")]
        chosen = self.data.draw(st.lists(st.sampled_from(held), min_size=1, max_size=2, unique=True))
        try:
            split_profile(public_id=str(profile.uuid), identifiers=chosen, actor="test", now=self.tick())
        except BadSplit:
            assert len(chosen) == len(held)

    def block(self) -> None:
        edge = self.some(list(Edge.objects.filter(state=Edge.State.ACTIVE).order_by("id")))
        if edge is not None:
            block_edge(edge_id=edge.pk, reason="test", actor="test", now=self.tick())

    def different(self) -> None:
        people = [str(uuid) for uuid in Profile.objects.order_by("id").values_list("uuid", flat=True)]
        if len(people) > 1:
            one, other = self.data.draw(st.lists(st.sampled_from(people), min_size=2, max_size=2, unique=True))
            try:
                declare_different(public_ids=(one, other), reason="test", actor="test", now=self.tick())
            except BadBlock:
                event("a profile that cannot be kept apart")

    def lift(self) -> None:
        edge = self.some(list(Edge.objects.filter(state=Edge.State.BLOCKED).order_by("id")))
        if edge is not None:
            lift_block(edge_id=edge.pk, actor="test", now=self.tick())

    def decide(self) -> None:
        identifier = self.some(list(Identifier.objects.select_related("type").order_by("id")))
        if identifier is not None:
            state = self.data.draw(st.sampled_from(["granted", "denied", "withdrawn", "objected"]))
            named = name_identifier(type=identifier.type.key, value=identifier.value)
            now = self.tick()
            new = NewDecision("marketing", None, state, "test", identifier=named, occurred_at=now)
            record_decision(new=new, now=now)

    def list(self) -> None:
        identifier = self.some(list(Identifier.objects.select_related("type").order_by("id")))
        if identifier is not None:
            line = Line(profile_id="", type=identifier.type.key, value=identifier.value)
            add_to_list(key="staff", lines=[line], actor="test", now=self.tick())

    def erase(self) -> None:
        identifier = self.some(list(Identifier.objects.select_related("type").order_by("id")))
        if identifier is None or self.data.draw(st.integers(0, 3)):
            return
        named = name_identifier(type=identifier.type.key, value=identifier.value)
        uuid = identifier.profile.uuid
        now = timezone.now()
        request = create_request(new=NewRequest("erasure", [named], "gdpr", now, "api", "test"), now=now)
        approve_request(request_id=str(request.pk), actor="test", now=now)
        run_privacy_requests(clock=timezone.now)
        event("an erasure")
        assert not Identifier.objects.filter(pk=identifier.pk).exists()
        self.ids = {one for one in self.ids if one != str(uuid)}

    def check(self, *, segments: bool = False) -> None:
        wanted, found = oracle.expected(), oracle.actual(segments=segments)
        if not segments:
            for person in wanted.values():
                person.segments = set()
        assert found == wanted
        assert oracle.faults() == []
        known = histories(profile_ids=list(Profile.objects.values_list("id", flat=True)))
        computed = {
            (profile_id, purpose_id, channel or "", cell.standing.decided_by.id, cell.standing.conflict)
            for (profile_id, purpose_id), history in known.items()
            for (_, channel), cell in rules.cells(history).items()
            if cell.standing.decided_by is not None
        }
        stored = Current.objects.values_list("profile_id", "purpose_id", "channel", "decision_id", "conflict")
        assert set(stored) == computed


class UndoProperties(TestCase):
    """What holds after any acts."""

    @settings(max_examples=EXAMPLES, derandomize=not SEARCH, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def test_gives_each_person_what_is_theirs_after_any_acts(self, data: st.DataObject) -> None:
        with transaction.atomic():
            create_purpose(key="marketing", fields={"name": "Marketing"}, actor="test", now=NOW)
            create_list(key="staff", name="Staff", actor="test", now=NOW)
            segment("buyers", did("Bought"), now=NOW)
            house = House(data)
            for _ in range(data.draw(st.integers(3, STEPS))):
                getattr(house, data.draw(ACTS))()
                house.check()
            catch_up(timezone.now())
            house.check(segments=True)
            event(f"undone: {min(house.undone, 3)}")
            transaction.set_rollback(True)
