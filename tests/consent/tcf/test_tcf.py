"""Consent strings: the vectors of the framework, strings of any kind, and what they mean for purposes."""

import os
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.errors import UnreadableTcString
from consent.tcf.decode import TcString, decode
from consent.tcf.judge import judge, read_answer
from tests.consent.tcf.writing import Said, base64, number, write

OF_THE_SPECIFICATION = "CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA"
WITH_PUBLISHER = "CPTtLAAPTtLAAAKAAAENAAFgALwAAEAAAAAAAOgAgABgAAAA.IAoAAgABgAAEAQAAEAAA.d4AACEAAAAAA"
CORE_ONLY = "CQd924AQd924AASACCENCNFsAP_gAEIAACiQL6QBAAGAAOANmAcAF9IAIADgAA"
# How many strings the fuzzing tests try each; more by the environment.
FUZZED = int(os.environ.get("FUZZED_STRINGS", "400"))


def fault_of(text: str) -> str:
    with pytest.raises(UnreadableTcString) as caught:
        decode(text)
    assert caught.value.code == f"consent.tcf_{caught.value.fault}"
    return caught.value.fault


def test_reads_the_example_of_the_specification_and_judges_it_by_the_specifications_own_rule():
    read = decode(OF_THE_SPECIFICATION)
    assert (read.created_at, read.updated_at) == (datetime(2025, 6, 3, tzinfo=UTC),) * 2
    assert (read.cmp_id, read.language, read.vendor_list_version, read.policy_version) == (880, "EN", 48, 2)
    assert (read.publisher_country, list(read.purposes), list(read.vendors)) == ("DE", [], [1, 2, 3, 4])
    assert list(read.disclosed_vendors or ()) == [1, 2, 3, 4, 5, 100, 404]
    assert judge(read).flags == ("old_policy",)
    assert not judge(read).counts


def test_reads_a_string_with_the_publishers_own_consents():
    read = decode(WITH_PUBLISHER)
    assert (read.created_at, read.cmp_id, read.policy_version) == (datetime(2022, 2, 1, tzinfo=UTC), 10, 5)
    assert (list(read.purposes), list(read.legitimate_interests)) == ([1, 3, 4, 5, 6], [2])
    assert (read.publisher_country, list(read.vendors)) == ("AA", [11, 28, 29])
    assert list(read.disclosed_vendors or ()) == [11, 28, 29, 50, 60, 80]
    assert read.publisher is not None
    assert (list(read.publisher.purposes), list(read.publisher.legitimate_interests)) == ([1, 3, 4, 5, 6], [2, 7])
    assert judge(read).counts


def test_reads_a_core_with_ranges_and_flags_what_it_lacks():
    read = decode(CORE_ONLY)
    assert (read.created_at, read.cmp_id, read.policy_version) == (datetime(2026, 1, 13, tzinfo=UTC), 18, 5)
    assert (list(read.special_features), list(read.purposes)) == ([1, 2], list(range(1, 12)))
    assert (list(read.legitimate_interests), read.publisher_country) == ([2, 7], "US")
    assert (list(read.vendors), list(read.vendor_legitimate_interests)) == ([12, 14, 435, 448], [14])
    # Made before the segment became mandatory, so it still counts.
    assert (judge(read).flags, judge(read).counts) == (("disclosed_vendors_missing",), True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("CQSbk4AQSbk4ANwAAAENAwCg", "truncated"),
        ("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "wrong_version"),
        ("", "empty"),
        (".", "truncated"),
        ("C" * 16_385, "too_long"),
        ("CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA=", "not_base64"),
        (OF_THE_SPECIFICATION + ".", "truncated"),
        (OF_THE_SPECIFICATION + ".IDKQA4AAgAKAGQAygAAA", "repeated_segment"),
        (OF_THE_SPECIFICATION + "." + base64(number(5, 3)), "unknown_segment"),
        (CORE_ONLY + "AAAB", "trailing_data"),
        (write(restrictions=((2, 3, frozenset({7})),)), "bad_restriction"),
        (write(restrictions=((0, 1, frozenset({7})),)), "bad_restriction"),
        (write(version=3), "wrong_version"),
    ],
)
def test_refuses_a_string_whole_and_says_why(text: str, fault: str):
    assert fault_of(text) == fault


def test_refuses_ranges_that_are_none_and_letters_beyond_z():
    greatest_three_but_four = base64(number(1, 3) + number(3, 16) + "1" + number(1, 12) + "0" + number(4, 16))
    assert fault_of(f"{CORE_ONLY}.{greatest_three_but_four}") == "bad_range"
    backwards = base64(number(1, 3) + number(9, 16) + "1" + number(1, 12) + "1" + number(5, 16) + number(4, 16))
    assert fault_of(f"{CORE_ONLY}.{backwards}") == "bad_range"
    # `[` follows Z.
    assert fault_of(write(language="E[")) == "bad_letters"


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"service_specific": False}, "global_scope"),
        ({"policy_version": 3}, "old_policy"),
        ({"updated_at": datetime(2026, 6, 2, tzinfo=UTC)}, "not_a_day"),
        (dict.fromkeys(("created_at", "updated_at"), datetime(2026, 6, 1, 9, tzinfo=UTC)), "not_a_day"),
        ({"legitimate_interests": frozenset({3})}, "legitimate_interest_not_allowed"),
        ({"legitimate_interests": frozenset({6, 2})}, "legitimate_interest_not_allowed"),
        ({"disclosed_vendors": None}, "disclosed_vendors_missing"),
        ({"cmp_id": 99}, "deleted_cmp"),
    ],
)
def test_a_string_that_breaks_a_rule_does_not_count(changes: dict[str, object], flag: str):
    found = judge(decode(write(**changes)), deleted_cmps={99})
    assert (found.flags, found.counts) == ((flag,), False)


def test_a_string_without_fault_counts():
    assert judge(decode(write())).flags == ()


def test_needs_every_purpose_that_ours_is_made_of():
    read = decode(write(purposes=frozenset({1, 2, 7})))
    assert read_answer(read, purposes=[2, 7]) is True
    assert read_answer(read, purposes=[2, 9]) is False
    assert read_answer(read, purposes=[]) is None


def test_says_nothing_of_purpose_one_where_it_was_not_asked_about():
    read = decode(write(purposes=frozenset({2}), purpose_one_untreated=True))
    assert read_answer(read, purposes=[1]) is None
    assert read_answer(read, purposes=[1, 2]) is None
    assert read_answer(read, purposes=[1, 4]) is False


def test_needs_the_vendor_and_heeds_the_publishers_restrictions():
    said = Said(purposes=frozenset({2}), vendors=frozenset({7}), disclosed_vendors=frozenset({7}))
    assert read_answer(decode(write(said)), purposes=[2], vendor_id=7) is True
    assert read_answer(decode(write(said)), purposes=[2], vendor_id=8) is False
    assert read_answer(decode(write(said, disclosed_vendors=frozenset({1}))), purposes=[2], vendor_id=7) is False
    for kind, allowed in ((0, False), (1, True), (2, False)):
        restricted = decode(write(said, restrictions=((2, kind, frozenset({7})),)))
        assert read_answer(restricted, purposes=[2], vendor_id=7) is allowed
        assert read_answer(restricted, purposes=[2]) is True


# --- Strings of any kind ---------------------------------------------------------------------------------------------

some_vendors = st.frozensets(st.integers(1, 1600), max_size=40)
of_purposes = st.frozensets(st.integers(1, 24))
moments = st.integers(0, 2**36 - 1).map(lambda tenths: datetime.fromtimestamp(tenths // 10, UTC))
pairs = st.text(string.ascii_uppercase, min_size=2, max_size=2)
strings_said = st.builds(
    Said,
    created_at=moments,
    updated_at=moments,
    cmp_id=st.integers(0, 4095),
    cmp_version=st.integers(0, 4095),
    consent_screen=st.integers(0, 63),
    language=pairs,
    vendor_list_version=st.integers(0, 4095),
    policy_version=st.integers(0, 63),
    service_specific=st.booleans(),
    non_standard_texts=st.booleans(),
    special_features=st.frozensets(st.integers(1, 12)),
    purposes=of_purposes,
    legitimate_interests=of_purposes,
    purpose_one_untreated=st.booleans(),
    publisher_country=pairs,
    vendors=some_vendors,
    vendor_legitimate_interests=some_vendors,
    restrictions=st.lists(st.tuples(st.integers(1, 24), st.integers(0, 2), some_vendors), max_size=4).map(tuple),
    disclosed_vendors=st.none() | some_vendors,
    publisher=st.none()
    | st.integers(0, 8).flatmap(
        lambda own: st.tuples(
            of_purposes,
            of_purposes,
            st.just(own),
            st.frozensets(st.integers(1, own)) if own else st.just(frozenset()),
            st.frozensets(st.integers(1, own)) if own else st.just(frozenset()),
        )
    ),
    as_ranges=st.booleans(),
)


@settings(max_examples=FUZZED // 4, deadline=None)
@given(strings_said)
def test_reads_back_what_was_written(said: Said):
    read = decode(write(said))
    for name in ("created_at", "updated_at", "cmp_id", "cmp_version", "consent_screen", "language", "policy_version"):
        assert getattr(read, name) == getattr(said, name)
    for name in ("special_features", "purposes", "legitimate_interests", "vendors", "vendor_legitimate_interests"):
        assert set(getattr(read, name)) == getattr(said, name)
    assert (read.service_specific, read.non_standard_texts) == (said.service_specific, said.non_standard_texts)
    assert (read.purpose_one_untreated, read.publisher_country) == (said.purpose_one_untreated, said.publisher_country)
    assert read.vendor_list_version == said.vendor_list_version
    assert [(one.purpose, one.kind, frozenset(one.vendors)) for one in read.restrictions] == list(said.restrictions)
    disclosed = None if read.disclosed_vendors is None else frozenset(read.disclosed_vendors)
    assert disclosed == said.disclosed_vendors
    if said.publisher is None:
        assert read.publisher is None
    else:
        assert read.publisher is not None
        purposes, interests, _, custom, custom_interests = said.publisher
        assert set(read.publisher.purposes) == purposes
        assert set(read.publisher.legitimate_interests) == interests
        assert set(read.publisher.custom_purposes) == custom
        assert set(read.publisher.custom_legitimate_interests) == custom_interests


@settings(max_examples=FUZZED // 4, deadline=None)
@given(strings_said, st.data())
def test_never_reads_half_of_a_string(said: Said, data: st.DataObject):
    """A cut is an error, or it fell between two segments; then everything before it is read as it was."""
    text = write(said)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    read = read_or_refuse(cut)
    if read is not None:
        whole = decode(text)
        assert cut.count(".") < text.count(".") or cut.rstrip("A") == text.rstrip("A")
        assert (read.purposes, read.vendors, read.restrictions) == (whole.purposes, whole.vendors, whole.restrictions)


@settings(max_examples=FUZZED, deadline=None)
@given(st.text(max_size=300) | st.text(string.ascii_letters + string.digits + "-_.", max_size=600))
def test_raises_nothing_but_its_own_error(text: str):
    read_or_refuse(text)


@settings(max_examples=FUZZED, deadline=None)
@given(st.sampled_from([OF_THE_SPECIFICATION, WITH_PUBLISHER, CORE_ONLY]), st.data())
def test_raises_nothing_but_its_own_error_for_strings_that_were_tampered_with(text: str, data: st.DataObject):
    at = data.draw(st.integers(0, len(text) - 1))
    read_or_refuse(text[:at] + data.draw(st.text(min_size=1, max_size=3)) + text[at + 1 :])


def read_or_refuse(text: str) -> TcString | None:
    try:
        read = decode(text)
    except UnreadableTcString:
        return None
    judge(read)
    read_answer(read, purposes=[1, 2], vendor_id=5)
    return read
