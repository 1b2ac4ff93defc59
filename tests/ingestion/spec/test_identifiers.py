"""What becomes an identifier."""

import pytest

from ingestion.spec.identifiers import IdentifierRules, fold_blocked, normalise_email, normalise_phone
from tests.ingestion.spec.reading import fault, message

BLOCKED = [
    "0",
    "000-000",
    "-1",
    "null",
    "anonymous",
    "   ",
    "undefined",
    '"undefined"',
    "[object Object]",
    '"[object Object]"',
    "false",
    "'NULL'",
    " Anonymous ",
    "\tUndefined\n",
    "[OBJECT OBJECT]",
    "00000000-0000-0000-0000-000000000000",
    '""',
    " " * 100,
    0,
    -1,
    False,
    True,
]


@pytest.mark.parametrize("value", BLOCKED)
def test_never_makes_a_blocked_value_an_identifier(value):
    result = message(userId=value, anonymousId="a-1")
    assert result.identifiers == [("anonymous_id", "a-1", "a-1")]
    assert result.warnings == ["blocked_identifier"]
    result = message(userId="u-1", anonymousId=value)
    assert result.identifiers == [("user_id", "u-1", "u-1")]
    assert result.warnings == ["blocked_identifier"]


@pytest.mark.parametrize("value", BLOCKED)
def test_refuses_a_message_with_nothing_but_blocked_values(value):
    assert fault(userId=value) == "no_identifier"
    assert fault(userId=value, anonymousId=value) == "no_identifier"


def test_keeps_the_raw_value_of_what_is_blocked():
    result = message(userId="[object Object]", anonymousId="a-1")
    assert result.user_id == "[object Object]"


@pytest.mark.parametrize("value", [None, ""])
def test_takes_null_and_empty_for_absent_without_a_warning(value):
    result = message(userId="u-1", anonymousId=value, context={"device": {"id": value}})
    assert result.identifiers == [("user_id", "u-1", "u-1")]
    assert result.warnings == []


@pytest.mark.parametrize("value", ["00001", "1-0", "nullable", "anonymous-7", "10", "false-friend"])
def test_lets_values_pass_that_only_look_like_blocked_ones(value):
    assert message(userId=value).identifiers == [("user_id", value, value)]


def test_takes_blocked_values_from_the_rules():
    rules = IdentifierRules.build([("user_id", 1, ["Test User"])])
    assert fold_blocked(" test user") in rules.blocked["user_id"]


def test_puts_the_strongest_identifier_first():
    result = message(
        "identify",
        anonymousId="a",
        userId="u",
        traits={"email": "ada@example.org", "phone": "+49 30 901820"},
        context={"device": {"id": "d", "type": "iOS"}, "externalIds": [{"id": "5", "type": "loyalty_id"}]},
    )
    assert [identifier[0] for identifier in result.identifiers] == [
        "user_id",
        "email",
        "phone",
        "loyalty_id",
        "ios.id",
        "anonymous_id",
    ]


@pytest.mark.parametrize(
    ("device", "type_key"),
    [
        ({"id": "D", "type": "ios"}, "ios.id"),
        ({"id": "D", "type": "Android"}, "android.id"),
        ({"id": "D", "type": "tv"}, "device_id"),
        ({"id": "D"}, "device_id"),
        ({"id": "D", "type": 5}, "device_id"),
    ],
)
def test_names_a_device_by_its_type(device, type_key):
    assert message(userId="", context={"device": device}).identifiers == [(type_key, "D", "D")]


@pytest.mark.parametrize(
    ("entry", "warnings"),
    [
        ({"id": "1", "type": "shoe_size"}, ["unknown_identifier_type"]),
        ({"id": "1", "type": "record_id"}, ["unknown_identifier_type"]),
        ({"id": "1"}, ["unknown_identifier_type"]),
        ({"id": "1", "type": ["user_id"]}, ["unknown_identifier_type"]),
        ({"id": "1", "type": "loyalty_id", "collection": "accounts"}, []),
        ({"id": "", "type": "loyalty_id"}, []),
        ({"id": "null", "type": "loyalty_id"}, ["blocked_identifier"]),
        ({"id": ["1"], "type": "loyalty_id"}, ["invalid_identifier"]),
        ("text", []),
    ],
)
def test_leaves_out_external_ids_that_are_none_and_says_why(entry, warnings):
    result = message(context={"externalIds": [entry]})
    assert result.identifiers == [("user_id", "u-1", "u-1")]
    assert result.warnings == warnings


def test_reads_external_ids_of_configured_types():
    result = message(
        context={
            "externalIds": [
                {"id": "7", "type": "loyalty_id", "collection": "users", "encoding": "none"},
                {"id": "Ada@Example.org", "type": "email", "collection": "users"},
                {"id": "u-1", "type": "user_id", "collection": "users"},
            ]
        }
    )
    assert result.identifiers == [
        ("user_id", "u-1", "u-1"),
        ("email", "ada@example.org", "Ada@Example.org"),
        ("loyalty_id", "7", "7"),
    ]


def test_survives_a_context_of_odd_shapes():
    assert message(context={"device": "d", "externalIds": {"id": 1}}).warnings == []


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("ada@example.org", "ada@example.org"),
        (" Ada.Lovelace+x@EXAMPLE.org\n", "ada.lovelace+x@example.org"),
        ("o'brien@example.ie", "o'brien@example.ie"),
        ("a_b-c@sub.example.co.uk", "a_b-c@sub.example.co.uk"),
        ("ada@shop.test", "ada@shop.test"),
        ("{x}!@example.org", "{x}!@example.org"),
        ("ADA@MÜLLER.de", "ada@müller.de"),
        ("ada@xn--mller-kva.de", "ada@müller.de"),
        # "é" in two forms: composed, and e with a combining accent.
        ("jos\u00e9@example.org", "jos\u00e9@example.org"),
        ("jose\u0301@example.org", "jos\u00e9@example.org"),
        ("ada", None),
        ("ada@", None),
        ("@example.org", None),
        ("ada@localhost", None),
        ("ada@example..org", None),
        ("a..b@example.org", None),
        (".a@example.org", None),
        ("ada@-example.org", None),
        ("ada lovelace@example.org", None),
        ("Ada <ada@example.org>", None),
        ("ada@example.org, eve@example.org", None),
        ("a" * 65 + "@example.org", None),
        ("a@" + "x" * 64 + ".org", None),
        ("a" * 300_000 + "@example.org", None),
        ("ada@[127.0.0.1]", None),
        ("", None),
    ],
)
def test_normalises_email_addresses(given, normal):
    assert normalise_email(given) == normal


@pytest.mark.parametrize(
    ("given", "region", "normal"),
    [
        ("+49 30 901820", None, "+4930901820"),
        ("+49 (0)30 901820", None, "+4930901820"),
        ("+1-202-555-0146", None, "+12025550146"),
        ("+494444444444", None, "+494444444444"),
        ("030 901820", "DE", "+4930901820"),
        ("030 901820", None, None),
        ("+1 202 555 0146 ext. 5", None, None),
        ("+999123456789", None, None),
        ("+49", None, None),
        ("+4930901820901820901820", None, None),
        ("call me", None, None),
        ("9" * 1000, None, None),
        ("", None, None),
    ],
)
def test_normalises_telephone_numbers(given, region, normal):
    assert normalise_phone(given, region) == normal


def test_warns_of_contacts_that_are_none():
    result = message("identify", traits={"email": "nobody", "phone": "12"})
    assert result.identifiers == [("user_id", "u-1", "u-1")]
    assert result.warnings == ["invalid_email", "invalid_phone"]
    assert message("identify", traits={"email": ["a@example.org"], "phone": True}).warnings == [
        "invalid_email",
        "invalid_phone",
    ]


def test_normalises_ids_to_nfc_and_trims_them():
    composed, decomposed = "jos\u00e9", " jose\u0301 "
    assert message(userId=decomposed).identifiers == [("user_id", composed, decomposed)]


def test_keeps_the_case_of_ids():
    assert message(userId="AbC").identifiers == [("user_id", "AbC", "AbC")]
