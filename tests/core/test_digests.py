"""Keyed digests."""

import hmac

from cdp.core.digests import derived_key, identifier_digest, message_digest


def test_equals_hmac_sha256_of_type_and_value():
    expected = hmac.digest(derived_key("identifier"), b"email\0ada@example.org", "sha256")
    assert identifier_digest("email", "ada@example.org") == expected


def test_differs_by_type():
    assert identifier_digest("email", "x") != identifier_digest("phone", "x")


def test_gives_sixteen_bytes_for_a_message_id():
    assert len(message_digest("m-1")) == 16
