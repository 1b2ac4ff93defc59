"""Identity has an algebra: order and batching do not matter where no limit applies; undo is exact."""

import os

from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from profiles.errors import CannotUndo
from profiles.models import Edge, Identifier, Merge, Profile
from profiles.services.undoing import undo_merge
from tests.profiles.sending import NOW, identify, partition, process, put, track

# The same examples in each run, so that a change is what breaks it; IDENTITY_EXAMPLES=500 looks for new ones.
SEARCH = int(os.environ.get("IDENTITY_EXAMPLES", "0"))
EXAMPLES = SEARCH or 40
USERS = st.sampled_from(["u1", "u2", "u3"])
SHARED = st.sampled_from(["a1", "a2", "a3", "a4"])


@st.composite
def messages(draw):
    """Messages in which each anonymous id or e-mail belongs to one user: no limit can be reached."""
    owner = {"a1": "u1", "a2": "u1", "a3": "u2", "a4": "u3"}
    items = []
    for number in range(draw(st.integers(1, 8))):
        anonymous = draw(SHARED)
        user = owner[anonymous]
        kind = draw(st.sampled_from(["seen", "login", "mail", "user"]))
        item = {
            "seen": track("Seen", "", anonymous),
            "login": identify(user, anonymous),
            "mail": identify("", anonymous, email=f"{user}@example.org"),
            "user": identify(user, "", email=f"{user}@example.org", plan=str(number)),
        }[kind]
        items.append({**item, "messageId": f"h-{number}", "timestamp": f"2026-03-01T00:00:0{number}Z"})
    return items


@st.composite
def batched(draw, items):
    """The same items in another order, cut into other batches."""
    order = draw(st.permutations(items))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(order) - 1)), max_size=4)))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True) if a < b]


def run(batches):
    """Process batches on an empty database; return the partition and traits, and leave nothing behind."""
    with transaction.atomic():
        for batch in batches:
            put(batch)
            process()
        found = snapshot()
        transaction.set_rollback(True)
    return found


def snapshot():
    """What is known of each person: identifiers, traits, number of events."""
    found = {}
    for profile in Profile.objects.all():
        names = frozenset(
            f"{row.type.key}:{row.value}" for row in Identifier.objects.filter(profile=profile).select_related("type")
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM profiles_event WHERE profile_id = %s", [profile.pk])
            events = cursor.fetchone()[0]
        found[names] = (tuple(sorted(profile.traits.items())), events)
    return found


def components():
    """The partition computed from scratch over the active edges."""
    parent = {row.pk: row.pk for row in Identifier.objects.all()}

    def find(one):
        while parent[one] != one:
            one = parent[one]
        return one

    for a, b in Edge.objects.filter(state=Edge.State.ACTIVE).values_list("a", "b"):
        parent[find(a)] = find(b)
    groups = {}
    for row in Identifier.objects.select_related("type"):
        groups.setdefault(find(row.pk), set()).add(f"{row.type.key}:{row.value}")
    return {frozenset(group) for group in groups.values()}


class IdentityProperties(TestCase):
    """Properties of the processor and of undo."""

    @settings(max_examples=EXAMPLES, derandomize=not SEARCH, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def test_gives_the_same_people_in_any_order_and_batching(self, data):
        items = data.draw(messages())
        expected = run([items])
        assert run(data.draw(batched(items))) == expected

    @settings(max_examples=EXAMPLES, derandomize=not SEARCH, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def test_keeps_profiles_equal_to_components_through_merges_and_undos(self, data):
        items = [
            data.draw(
                st.builds(
                    identify,
                    st.one_of(st.just(""), USERS),
                    SHARED,
                    email=st.sampled_from(["one@example.org", "two@example.org", "three@example.org"]),
                )
            )
            for _ in range(data.draw(st.integers(2, 8)))
        ]
        with transaction.atomic():
            for number, item in enumerate(items):
                put([{**item, "messageId": f"p-{number}"}])
                process()
                assert partition() == components()
                merges = list(Merge.objects.filter(undone_at=None))
                if merges and data.draw(st.booleans()):
                    before = partition()
                    try:
                        undo_merge(merge_id=data.draw(st.sampled_from(merges)).pk, actor="test", now=NOW)
                    except CannotUndo:
                        # The undo of another merge took back what joined them: nothing is left to separate.
                        assert partition() == before
                    assert partition() == components()
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT count(*) FROM profiles_event e JOIN profiles_identifier i ON i.id = e.identifiers[1] "
                        "WHERE i.profile_id <> e.profile_id"
                    )
                    assert cursor.fetchone()[0] == 0
            transaction.set_rollback(True)
