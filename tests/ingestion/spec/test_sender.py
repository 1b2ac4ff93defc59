"""What is kept of the device that a message came from."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion.spec import sender
from ingestion.spec.sender import UserAgents, shorten_address

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 "
    "Mobile/15E148 Safari/604.1"
)


@pytest.mark.parametrize(
    ("address", "rule", "kept"),
    [
        ("203.0.113.77", "truncated", "203.0.113.0"),
        (" 203.0.113.77 ", "full", "203.0.113.77"),
        ("203.0.113.77", "none", ""),
        ("2001:db8:aaaa:bbbb:1:2:3:4", "truncated", "2001:db8:aaaa::"),
        ("2001:db8:aaaa:bbbb:1:2:3:4", "full", "2001:db8:aaaa:bbbb:1:2:3:4"),
        ("::ffff:203.0.113.77", "truncated", "203.0.113.0"),
        ("ada@example.org", "truncated", ""),
        ("203.0.113.77, 10.0.0.1", "truncated", ""),
        (7, "full", ""),
        (None, "truncated", ""),
    ],
)
def test_keeps_of_an_address_what_the_source_wants(address, rule, kept):
    assert shorten_address(address, rule) == kept


@given(st.ip_addresses(), st.ip_addresses())
@example(ipaddress.ip_address("::"), ipaddress.ip_address("::ffff:0:0"))
@example(ipaddress.ip_address("203.0.113.1"), ipaddress.ip_address("::ffff:203.0.113.77"))
def test_tells_no_two_addresses_of_a_network_apart(one, other):
    kept, again = shorten_address(str(one), "truncated"), shorten_address(str(other), "truncated")
    assert shorten_address(kept, "truncated") == kept
    bits = sender.KEPT_BITS
    # An IPv4 address within an IPv6 one is kept as what it is.
    one, other = (getattr(address, "ipv4_mapped", None) or address for address in (one, other))
    same = one.version == other.version and int(one) >> (one.max_prefixlen - bits[one.version]) == int(other) >> (
        other.max_prefixlen - bits[other.version]
    )
    if same:
        assert kept == again


def test_names_browser_system_and_device():
    agents = UserAgents()
    agents.begin_batch()
    assert agents.read(CHROME) == {"browser": "Chrome", "browserVersion": "120", "os": "Windows", "osVersion": "10"}
    agents.begin_batch()
    found = agents.read(IPHONE)
    assert found == {
        "browser": "Mobile Safari",
        "browserVersion": "17",
        "os": "iOS",
        "osVersion": "17",
        "device": "iPhone",
    }


@pytest.mark.parametrize("text", ["", "x", "x" * 513, 7, None, {}, "\ud800"])
def test_says_nothing_of_what_it_does_not_know(text):
    assert UserAgents().read(text) is None


def test_parses_no_more_in_a_batch_than_its_time_allows(monkeypatch):
    agents = UserAgents()
    ticks = iter(range(100))
    monkeypatch.setattr(sender.time, "perf_counter", lambda: float(next(ticks)))
    assert agents.read(CHROME) is not None
    # That took a second by this clock: nothing new until the next batch, but what is known is known.
    assert agents.read(IPHONE) is None
    assert agents.read(CHROME) is not None
    agents.begin_batch()
    assert agents.read(IPHONE) is not None
