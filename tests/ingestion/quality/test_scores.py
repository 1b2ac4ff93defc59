"""The formulae: bounded by 0 and 100, and moving one way only."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.quality.scores import (
    WEIGHTS,
    Dimensions,
    FieldCounts,
    SourceCounts,
    field_dimensions,
    field_score,
    is_usual,
    kept_frequency,
    score,
    share,
    source_dimensions,
)

few = st.integers(0, 50)


@st.composite
def field_counts(draw) -> FieldCounts:
    """Counts as they can come out of counting: no part is larger than its whole."""
    kinds = tuple(draw(few) for _ in range(5))
    checked, referred, compared = draw(few), draw(few), draw(few)
    return FieldCounts(
        messages=sum(kinds) + draw(few),
        kinds=kinds,
        faults=draw(few),
        stopped=draw(few),
        checked=checked,
        broken=draw(st.integers(0, checked)),
        referred=referred,
        unknown=draw(st.integers(0, referred)),
        compared=compared,
        agreed=draw(st.integers(0, compared)),
        is_expected=draw(st.booleans()),
    )


@st.composite
def source_counts(draw) -> SourceCounts:
    duplicates, faulty, measured = draw(few), draw(few), draw(few)
    return SourceCounts(
        received=duplicates + faulty + measured,
        duplicates=duplicates,
        faulty=faulty,
        refused=draw(few),
        measured=measured,
        late=draw(st.integers(0, measured)),
        kept=draw(st.none() | st.floats(0, 1)),
    )


def bounded(dimensions: Dimensions) -> bool:
    return all(value is None or 0 <= value <= 100 for value in asdict(dimensions).values())


def at_least(one: Dimensions, other: Dimensions) -> bool:
    """Tell whether no dimension of the first is worse; what cannot be measured is not compared."""
    pairs = zip(asdict(one).values(), asdict(other).values(), strict=True)
    return all(a is None or b is None or a >= b - 1e-9 for a, b in pairs)


@given(source_counts(), st.lists(field_counts(), max_size=5))
def test_every_share_and_score_lies_between_0_and_100(source, fields):
    for one in (source_dimensions(source, fields), *map(field_dimensions, fields)):
        assert bounded(one)
        total = score(one)
        assert (total is None) == (one == Dimensions())
        assert total is None or 0 <= total <= 100 + 1e-9


@given(source_counts(), st.lists(field_counts(), min_size=1, max_size=5))
def test_a_worse_count_never_makes_anything_better(source, fields):
    best = source_dimensions(source, fields)
    one = fields[0]
    worse_fields = [replace(one, faults=one.faults + 1), replace(one, messages=one.messages + 1)]
    if one.broken < one.checked:
        worse_fields.append(replace(one, broken=one.broken + 1))
    if one.unknown < one.referred:
        worse_fields.append(replace(one, unknown=one.unknown + 1))
    if one.agreed:
        worse_fields.append(replace(one, agreed=one.agreed - 1))
    for worse in worse_fields:
        assert at_least(field_dimensions(one), field_dimensions(worse))
        assert at_least(best, source_dimensions(source, [worse, *fields[1:]]))
    worse_sources = [
        replace(source, received=source.received + 1, duplicates=source.duplicates + 1),
        replace(source, received=source.received + 1, faulty=source.faulty + 1),
        replace(source, refused=source.refused + 1),
        replace(source, measured=source.measured + 1, late=source.late + 1),
    ]
    for worse in worse_sources:
        assert at_least(replace(best, uniqueness=None), replace(source_dimensions(worse, fields), uniqueness=None))
    for worse in (worse_sources[0], worse_sources[2]):
        assert at_least(Dimensions(uniqueness=best.uniqueness), source_dimensions(worse, fields))


@given(st.builds(Dimensions, *[st.none() | st.floats(0, 100)] * 6), st.sampled_from(sorted(WEIGHTS)))
def test_the_score_follows_each_dimension(dimensions, name):
    value = getattr(dimensions, name)
    if value is not None:
        assert score(replace(dimensions, **{name: 100.0})) >= score(dimensions) - 1e-9
        assert score(replace(dimensions, **{name: 0.0})) <= score(dimensions) + 1e-9


def test_weighs_only_what_could_be_measured():
    assert sum(WEIGHTS.values()) == 100
    assert score(Dimensions()) is None
    assert score(Dimensions(validity=40.0)) == 40
    # (25 * 100 + 10 * 30) / 35
    assert score(Dimensions(completeness=100.0, uniqueness=30.0)) == pytest.approx(80)


def test_tells_shares_in_percent_and_nothing_of_nothing():
    assert share(1, 4) == 25
    assert share(0, 0) is None
    assert share(-1, 4) == 0
    assert share(5, 4) == 100
    assert is_usual(5, 10)
    assert not is_usual(4, 10)
    assert not is_usual(0, 0)


def test_takes_odd_kinds_and_faults_from_validity_once_at_most():
    # Eight texts and two numbers: the numbers are odd.
    assert field_dimensions(FieldCounts(messages=20, kinds=(8, 2, 0, 0, 0))).validity == 80
    assert field_dimensions(FieldCounts(messages=20, kinds=(8, 2, 0, 0, 0))).completeness == 50
    assert field_dimensions(FieldCounts(messages=20, kinds=(8, 2, 0, 0, 0), faults=3)).validity == 50
    # Many rules may find fault with one value: it is still one.
    assert field_dimensions(FieldCounts(messages=20, kinds=(8, 2, 0, 0, 0), faults=30)).validity == 0
    # Of ten values that stayed and ten that were dropped, those that stayed are good.
    assert field_dimensions(FieldCounts(messages=20, kinds=(10, 0, 0, 0, 0), stopped=10)).validity == 50


def test_does_not_lower_the_score_of_an_optional_field_that_comes_seldom():
    seldom = FieldCounts(messages=10, kinds=(1,), is_expected=False)
    assert field_score(seldom) == 100
    # (25 * 10 + 25 * 100) / 50
    assert field_score(replace(seldom, is_expected=True)) == pytest.approx(55)


def test_counts_expected_fields_for_completeness_by_their_messages():
    whole = FieldCounts(messages=90, kinds=(90,))
    half = FieldCounts(messages=10, kinds=(5,))
    seldom = FieldCounts(messages=90, kinds=(1,), is_expected=False)
    # 95 of 100
    assert source_dimensions(SourceCounts(), [whole, half, seldom]).completeness == 95


def test_multiplies_sound_values_with_messages_that_were_not_stopped():
    source = SourceCounts(received=110, duplicates=10, faulty=20)
    assert source_dimensions(source, [FieldCounts(messages=1, kinds=(9, 1))]).validity == pytest.approx(90 * 0.8)
    assert source_dimensions(source, []).validity == 80
    assert source_dimensions(source, []).uniqueness == pytest.approx(100 * 100 / 110)


@pytest.mark.parametrize(
    ("hourly", "every", "kept"),
    [
        ([1, 1, 1, 1], 60, 1.0),
        ([1, 0, 1, 0], 60, 0.5),
        # Four in each hour are wanted: an hour with one kept a quarter.
        ([4, 1], 15, 0.625),
        ([400], 1, 1.0),
        # The first hours are only the past of the third.
        ([1, 0, 0], 180, 1.0),
        ([1, 0, 0, 0], 180, 0.5),
        ([1, 0], 180, None),
        ([], 60, None),
    ],
)
def test_tells_how_well_a_frequency_was_kept(hourly, every, kept):
    assert kept_frequency(hourly, every) == kept


@given(st.lists(few, max_size=60), st.integers(1, 3_000), st.integers(0, 59))
def test_a_message_more_never_breaks_the_frequency(hourly, every, place):
    kept = kept_frequency(hourly, every)
    assert kept is None or 0 <= kept <= 1
    if place < len(hourly):
        more = [*hourly[:place], hourly[place] + 1, *hourly[place + 1 :]]
        assert kept is None or kept_frequency(more, every) >= kept - 1e-12
