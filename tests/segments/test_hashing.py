"""Normal forms and digests for ad platforms."""

import hashlib

import pytest

from segments.sending.columns import Known, read_columns, value_of
from segments.sending.hashing import TRANSFORMS

ANA = Known(
    profile_id=1,
    uuid="0d4ac1a6-58c0-4d92-9d4b-6f5b0b8f3f0e",
    traits={"firstName": "Ana", "address": {"city": "Köln", "postalCode": "50667"}, "a.b": 1, "tags": ["x"]},
    identifiers=[("email", "old@example.org"), ("email", "new@example.org"), ("user_id", "7")],
)


@pytest.mark.parametrize(
    ("transform", "value", "normal"),
    [
        ("email", "  Test@Example.COM ", "test@example.com"),
        ("email", "no address", ""),
        ("phone", "+49 (151) 123-456 78", "+4915112345678"),
        # Without a country code it is not known which number it is.
        ("phone", "0151 12345678", ""),
        ("phone_digits", "+1 (650) 555-1212", "16505551212"),
        ("name", "  Mary   Ann ", "mary ann"),
        ("bare_name", " O'Neill-Smith ", "oneillsmith"),
        ("bare_name", "정", "정"),
        ("city", "St. John's", "stjohns"),
        ("bare_postcode", "94035-1234", "94035"),
        ("bare_postcode", "M1 1AE", "m11ae"),
        ("country", "de", "DE"),
        ("country", "Germany", ""),
        ("bare_country", "DE", "de"),
        ("birth_date", "1990-02-28T00:00:00Z", "19900228"),
        ("birth_date", "28.02.1990", ""),
        ("gender", "Female", "f"),
        ("gender", "x", ""),
    ],
)
def test_brings_values_into_the_form_that_platforms_hash(transform, value, normal):
    assert TRANSFORMS[transform](value) == normal
    hashing = TRANSFORMS.get(f"hash_{transform}")
    if hashing is not None:
        assert hashing(value) == (hashlib.sha256(normal.encode()).hexdigest() if normal else "")


def test_digests_are_those_of_other_tools():
    # printf test@example.com | sha256sum
    digest = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"
    assert TRANSFORMS["hash_email"](" Test@Example.com") == digest
    # A digest is not hashed again.
    assert TRANSFORMS["hash_email"](digest.upper()) == digest


@pytest.mark.parametrize("value", [None, True, [], {}, ""])
@pytest.mark.parametrize("transform", sorted(TRANSFORMS))
def test_what_is_no_single_value_gives_nothing(transform, value):
    assert TRANSFORMS[transform](value) == ""


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("id", ANA.uuid),
        ("email", "new@example.org"),
        ("identifier:user_id", "7"),
        ("trait:first_name", "Ana"),
        ("trait:address.city", "Köln"),
        ("trait:city", "Köln"),
        ("trait:postcode", "50667"),
        ("trait:a.b", 1),
        ("trait:tags", ["x"]),
        ("trait:tags.x", None),
        ("phone", None),
    ],
)
def test_finds_values_where_they_are(source, value):
    (column,) = read_columns([source])
    assert value_of(ANA, column) == value
