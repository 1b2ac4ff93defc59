"""Inflating a request and finding its write key."""

import gzip
import tracemalloc
from base64 import b64encode

import pytest

from ingestion.errors import NotJson, TooLarge
from ingestion.spec.limits import MAX_REQUEST_BYTES
from ingestion.spec.request import find_write_key, read_body

BODY = b'{"batch": []}'


def test_returns_a_plain_body_unchanged():
    assert read_body(BODY) == BODY


ZIPPED = gzip.compress(BODY)


@pytest.mark.parametrize("label", ["gzip", "x-gzip", "GZIP", None, "", "identity", "application/json"])
def test_inflates_gzip_however_it_is_labelled(label):
    assert read_body(gzip.compress(BODY), label) == BODY


def test_reads_a_plain_body_that_is_labelled_gzip():
    assert read_body(BODY, "gzip") == BODY


def test_reads_gzip_of_several_members():
    assert read_body(gzip.compress(BODY[:5]) + gzip.compress(BODY[5:])) == BODY


def test_drops_a_byte_order_mark():
    assert read_body(b"\xef\xbb\xbf" + BODY) == BODY
    assert read_body(gzip.compress(b"\xef\xbb\xbf" + BODY)) == BODY


@pytest.mark.parametrize("label", ["br", "deflate", "zstd"])
def test_refuses_other_encodings(label):
    with pytest.raises(NotJson):
        read_body(BODY, label)


def test_accepts_exactly_the_limit_and_refuses_one_byte_more():
    assert len(read_body(b"x" * MAX_REQUEST_BYTES)) == MAX_REQUEST_BYTES
    with pytest.raises(TooLarge):
        read_body(b"x" * (MAX_REQUEST_BYTES + 1))


def test_accepts_exactly_the_limit_inflated_and_refuses_one_byte_more():
    assert len(read_body(gzip.compress(b"x" * MAX_REQUEST_BYTES))) == MAX_REQUEST_BYTES
    with pytest.raises(TooLarge) as error:
        read_body(gzip.compress(b"x" * (MAX_REQUEST_BYTES + 1)))
    assert error.value.status == 413
    assert str(MAX_REQUEST_BYTES) in error.value.message


def test_inflates_no_more_of_a_bomb_than_the_limit():
    bomb = gzip.compress(b"\0" * (256 * 1024 * 1024))
    tracemalloc.start()
    with pytest.raises(TooLarge):
        read_body(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The limit once as inflated, once as the buffer that grew; 256 MB would be 64 times the limit.
    assert peak < 4 * MAX_REQUEST_BYTES


def test_counts_the_members_of_a_bomb_together():
    with pytest.raises(TooLarge):
        read_body(gzip.compress(b"x" * (3 * 1024 * 1024)) * 2)


@pytest.mark.parametrize(
    "raw", [b"\x1f\x8bnonsense", ZIPPED[:-4], ZIPPED[:12], ZIPPED + b"junk"], ids=["header", "no end", "short", "junk"]
)
def test_refuses_broken_gzip(raw):
    with pytest.raises(NotJson):
        read_body(raw)


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        ({"authorization": basic("KEY:")}, "KEY"),
        ({"authorization": basic("KEY")}, "KEY"),
        ({"authorization": "basic " + b64encode(b"KEY:").decode()}, "KEY"),
        ({"authorization": "Bearer pk_us_1"}, "pk_us_1"),
        ({"authorization": "Bearer sk_eu_1"}, "sk_eu_1"),
        ({"authorization": "Bearer oauth-token", "query_key": "Q"}, "Q"),
        ({"write_key_header": "KEY:secret"}, "KEY"),
        ({"write_key_header": "KEY"}, "KEY"),
        ({"query_key": "KEY"}, "KEY"),
        ({"authorization": basic("A:"), "write_key_header": "B", "query_key": "C"}, "A"),
        ({"write_key_header": "B", "query_key": "C"}, "B"),
        ({"authorization": basic(":"), "query_key": "C"}, "C"),
        ({"authorization": "Basic ü%%", "query_key": "C"}, "C"),
        ({"authorization": "Basic /w==", "query_key": "C"}, "C"),
        ({"authorization": "Digest x"}, None),
        ({}, None),
    ],
)
def test_finds_the_write_key_in_order(parts, key):
    assert find_write_key(**parts) == key
