"""Where the product may connect to, without a network."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.core.addresses import OutgoingRefused, check_addresses, closed_kind, read_allowances, read_url

PORTS = (80, 443)


def check(url: str, *answers: str, allow: tuple[str, ...] = ()) -> None:
    """Check a URL whose name has these answers; an address in the URL is its own answer."""
    target = read_url(url)
    addresses = [target.address] if target.address else [ipaddress.ip_address(answer) for answer in answers]
    check_addresses(target, addresses, allowances=read_allowances(allow), ports=PORTS)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.0.1",
        "168.63.129.16",
        "100.64.0.1",
        "100.127.255.255",
        "100.100.100.200",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "fc00::1",
        "fd12:3456::1",
        "fd00:ec2::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "5f00::1",
        "4000::1",
    ],
)
def test_closes_what_is_not_the_public_internet(address):
    assert closed_kind(ipaddress.ip_address(address)) is not None
    with pytest.raises(OutgoingRefused):
        check("https://partner.example/", address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "2606:4700::1111"],
)
def test_lets_public_addresses_through(address):
    check("https://partner.example/", address)


@given(st.ip_addresses())
def test_never_lets_through_what_the_registry_of_addresses_calls_private(address):
    if closed_kind(address) is None:
        assert address.is_global
        assert not address.is_multicast


def test_refuses_a_name_with_one_bad_answer_among_good_ones():
    with pytest.raises(OutgoingRefused, match="private"):
        check("https://partner.example/", "93.184.216.34", "10.0.0.7", "2606:4700::1111")


def test_refuses_a_name_without_an_answer():
    with pytest.raises(OutgoingRefused, match="no address"):
        check("https://partner.example/")


def test_names_the_kind_but_not_the_address():
    with pytest.raises(OutgoingRefused) as refused:
        check("https://partner.example/", "10.20.30.40")
    assert "private" in refused.value.message
    assert "10.20" not in refused.value.message


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",  # 127.0.0.1 as one decimal number
        "017700000001",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "10.0.0.01",
        "partner.0x7f",
        "256.1.1.1",
        "1.2.3.4.5",
        "①②⑦.⓪.⓪.①",  # becomes 127.0.0.1 under IDNA
        "127。0。0。1",
        "127.0.0.1.",
        "127.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
    ],
)
def test_refuses_addresses_in_any_writing(host):
    with pytest.raises(OutgoingRefused):
        check(f"http://{host}/latest/meta-data")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "partner.example/hook",
        "//partner.example/hook",
        "ftp://partner.example/",
        "file:///etc/passwd",
        "gopher://partner.example/",
        "javascript:alert(1)",
        "https://",
        "https:///hook",
        "https://user@partner.example/",
        "https://user:secret@partner.example/",
        "https://partner.example@127.0.0.1/",
        "https://127.0.0.1\\@partner.example/",
        "https://partner.example\\.attacker.example/",
        "https://partner.example:0/",
        "https://partner.example:99999/",
        "https://partner.example:80a/",
        "https://part ner.example/",
        "https://partner.example/a b",
        "https://partner.example/\r\nHost: other",
        "https://partner.example/\x00",
        "https://partner..example/",
        "https://.example/",
        "https://-/",
        "https://127.0.0.%31/",
        "https://[::1/",
        "https://[partner.example]/",
        "https://" + "a" * 64 + ".example/",
        "https://partner.example/" + "a" * 3000,
    ],
)
def test_refuses_what_is_no_plain_url(url):
    with pytest.raises(OutgoingRefused):
        read_url(url)


@given(st.text(max_size=60))
def test_reads_or_refuses_any_text(text):
    for url in (text, f"https://{text}/"):
        try:
            target = read_url(url)
        except OutgoingRefused:
            continue
        assert target.host.isascii()
        assert target.path.startswith("/")
        assert not set(target.path) & set(" \r\n")


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://Partner.Example/Hook?a=b", "partner.example", "/Hook?a=b"),
        ("https://partner.example", "partner.example", "/"),
        ("https://partner.example.:443/", "partner.example", "/"),
        ("http://partner.example:443/", "partner.example:443", "/"),
        ("HTTPS://partner.example:8443/#part", "partner.example:8443", "/"),
        ("https://äpfel.example/ö?ü=1", "xn--pfel-koa.example", "/%C3%B6?%C3%BC=1"),
        ("https://my_crm/", "my_crm", "/"),
        ("https://[2606:4700:0:0::1]:8443/", "[2606:4700::1]:8443", "/"),
    ],
)
def test_reads_a_url(url, authority, path):
    target = read_url(url)
    assert (target.authority, target.path) == (authority, path)


def test_refuses_other_ports():
    with pytest.raises(OutgoingRefused, match="Port 6379"):
        check("http://partner.example:6379/", "93.184.216.34")


@pytest.mark.parametrize(
    ("entry", "url", "answer"),
    [
        ("crm.internal", "https://crm.internal/", "10.0.0.7"),
        ("CRM.internal.", "https://crm.internal/", "fd12::7"),
        ("crm.internal:9443", "https://crm.internal:9443/", "10.0.0.7"),
        ("crm.internal:*", "http://crm.internal:1234/", "127.0.0.1"),
        ("partner.example:9443", "https://partner.example:9443/", "93.184.216.34"),
        ("10.0.0.0/8", "https://any.example/", "10.0.0.7"),
        ("127.0.0.1:*", "http://127.0.0.1:5432/", ""),
        ("[fd12::/16]:8443", "https://any.example:8443/", "fd12::7"),
        ("fd12::7", "https://any.example/", "fd12::7"),
        ("169.254.0.0/16", "http://any.example/", "169.254.169.254"),
    ],
)
def test_opens_what_the_installation_names(entry, url, answer):
    check(url, *filter(None, [answer]), allow=(entry,))


@pytest.mark.parametrize(
    ("entry", "url", "answer"),
    [
        ("crm.internal", "https://crm.internal:9443/", "10.0.0.7"),
        ("crm.internal:9443", "https://crm.internal/", "10.0.0.7"),
        ("crm.internal", "https://other.internal/", "10.0.0.7"),
        ("crm.internal", "https://x.crm.internal/", "10.0.0.7"),
        ("crm.internal:*", "http://crm.internal/", "169.254.169.254"),
        ("crm.internal", "http://crm.internal/", "fd00:ec2::254"),
        ("crm.internal", "http://crm.internal/", "::ffff:10.0.0.7"),
        ("crm.internal", "http://crm.internal/", "224.0.0.1"),
        ("10.0.0.0/8", "https://any.example/", "::ffff:10.0.0.7"),
        ("10.0.0.0/8", "https://any.example:9443/", "10.0.0.7"),
        ("10.0.0.0/8", "https://any.example/", "192.168.0.7"),
    ],
)
def test_opens_nothing_else(entry, url, answer):
    with pytest.raises(OutgoingRefused):
        check(url, answer, allow=(entry,))


def test_a_bad_answer_stays_bad_beside_an_allowed_one():
    with pytest.raises(OutgoingRefused):
        check("https://any.example/", "10.0.0.7", "192.168.0.7", allow=("10.0.0.0/8",))


@pytest.mark.parametrize(
    "entry", ["crm internal", "crm.internal:0", "crm.internal:x", "10.0.0.0/99", "[fd12::/16]8443", "*"]
)
def test_refuses_an_entry_that_opens_nothing(entry):
    with pytest.raises(OutgoingRefused):
        read_allowances([entry])
