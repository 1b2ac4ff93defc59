"""Requests to other servers, over real sockets."""

import datetime
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cdp.core import outgoing
from cdp.core.outgoing import Line, OutgoingFailed, OutgoingRefused, check_url, send
from tests.listening import LOCAL, OtherServer, RawServer, read_request


@pytest.fixture
def allowed(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL


@pytest.fixture
def answers(monkeypatch):
    """Stand in for the name server, the one part that is not on this machine: each look-up takes the next answer."""
    waiting: list[list[str]] = []
    asked: list[str] = []

    def resolve(host, port):
        asked.append(host)
        return waiting.pop(0)

    monkeypatch.setattr(outgoing, "resolve", resolve)
    return waiting, asked


def test_sends_a_request_and_returns_the_answer(allowed):
    with OtherServer(reply=lambda _: (202, {"X-Reply": "yes"}, b"taken")) as server:
        answer = send(f"{server.url}/hook?a=b", headers={"X-Sent": "1", "Content-Type": "text/plain"}, body=b"hello")
    assert (answer.status, answer.body, answer.headers["x-reply"], answer.is_success) == (202, b"taken", "yes", True)
    request = server.received[0]
    assert (request.method, request.path, request.body) == ("POST", "/hook?a=b", b"hello")
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert (request.headers["x-sent"], request.headers["content-length"]) == ("1", "5")
    assert request.headers["accept-encoding"] == "identity"


def test_sends_no_body_with_get(allowed):
    with OtherServer() as server:
        assert send(server.url, method="GET").status == 200
    assert "content-length" not in server.received[0].headers


def test_reaches_nothing_on_this_machine_unless_it_is_allowed():
    with OtherServer() as server:
        for url in (server.url, f"http://localhost:{server.port}/", f"http://[::ffff:127.0.0.1]:{server.port}/"):
            with pytest.raises(OutgoingRefused):
                send(url)
    assert server.received == []


def test_looks_a_name_up_once_and_connects_to_what_was_checked(allowed, answers):
    """A name server that answers well first and badly then gets no second question (DNS rebinding)."""
    waiting, asked = answers
    waiting += [["127.0.0.1"], ["10.0.0.1"]]
    with OtherServer() as server:
        assert send(f"http://localhost:{server.port}/").status == 200
    assert asked == ["localhost"]
    assert server.received[0].headers["host"] == f"localhost:{server.port}"


def test_checks_again_at_the_next_delivery(allowed, answers):
    waiting, _ = answers
    waiting += [["127.0.0.1"], ["169.254.169.254"]]
    with OtherServer() as server:
        send(f"http://localhost:{server.port}/")
        with pytest.raises(OutgoingRefused, match="metadata"):
            send(f"http://localhost:{server.port}/")
    assert len(server.received) == 1


def test_connects_nowhere_if_one_of_the_answers_is_bad(allowed, answers):
    waiting, _ = answers
    waiting += [["127.0.0.1", "169.254.169.254"]]
    with OtherServer() as server, pytest.raises(OutgoingRefused):
        send(f"http://localhost:{server.port}/")
    assert server.received == []


def test_tries_the_next_address_when_one_does_not_answer(allowed, answers):
    waiting, _ = answers
    waiting += [["127.0.0.9", "127.0.0.1"]]
    with OtherServer() as server:
        assert send(f"http://localhost:{server.port}/").status == 200


def test_follows_no_redirect(allowed):
    with (
        OtherServer() as second,
        OtherServer(reply=lambda _: (307, {"Location": second.url}, b"")) as first,
    ):
        answer = send(first.url, body=b"secret")
    assert (answer.status, answer.is_success) == (307, False)
    assert second.received == []


def test_ignores_proxies_of_the_environment(allowed, monkeypatch):
    with OtherServer() as proxy, OtherServer() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        send(server.url)
    assert (len(proxy.received), len(server.received)) == (0, 1)


def test_reads_no_more_than_64_kilobytes_of_a_reply(allowed):
    with OtherServer(reply=lambda _: (200, {}, b"x" * 300_000)) as server:
        assert len(send(server.url).body) == 64 * 1024


def test_does_not_unpack_a_reply(allowed):
    with OtherServer(reply=lambda _: (200, {"Content-Encoding": "gzip"}, b"\x1f\x8bbomb")) as server:
        assert send(server.url).body == b"\x1f\x8bbomb"


def test_gives_up_at_the_deadline_though_bytes_keep_coming(allowed):
    def drip(connection):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    with RawServer(drip) as server:
        began = time.monotonic()
        with pytest.raises(OutgoingFailed) as failed:
            send(server.url, timeout_seconds=0.4)
        assert failed.value.reason == "timeout"
        assert time.monotonic() - began < 2


def test_gives_up_at_the_deadline_on_dripping_headers_and_on_one_that_does_not_read(allowed):
    def headers(connection):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: y\r\n")
            time.sleep(0.05)

    def deaf(connection):
        time.sleep(1)

    for talk, body in ((headers, b""), (deaf, b"x" * 20_000_000)):
        with RawServer(talk) as server, pytest.raises(OutgoingFailed) as failed:
            send(server.url, body=body, timeout_seconds=0.4)
        assert failed.value.reason == "timeout"


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(500)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + b"x" * 1_000_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000,
    ],
)
def test_fails_on_a_broken_reply(allowed, reply):
    def talk(connection):
        read_request(connection)
        connection.sendall(reply)

    with RawServer(talk) as server, pytest.raises(OutgoingFailed) as failed:
        send(server.url, timeout_seconds=5)
    assert failed.value.reason == "protocol"


def test_reads_a_reply_in_chunks(allowed):
    def talk(connection):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    with RawServer(talk) as server:
        assert send(server.url).body == b"abcde"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "other.example"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"X": "a\r\nHost: other"},
        {"X\r\nY": "a"},
        {"X": "snow ☃"},
        {"": "a"},
    ],
)
def test_refuses_headers_that_would_change_the_request(headers):
    with pytest.raises(OutgoingRefused):
        send("https://partner.example/", headers=headers)


def test_says_that_nobody_listens(allowed):
    with OtherServer() as server:
        pass
    with pytest.raises(OutgoingFailed) as failed:
        send(server.url)
    assert failed.value.reason == "connect"


def test_says_that_a_name_is_not_known():
    with pytest.raises(OutgoingFailed) as failed:
        send("https://nowhere.invalid/", timeout_seconds=5)
    assert failed.value.reason in {"look_up", "timeout"}


def test_refuses_to_save_a_name_that_is_not_known():
    with pytest.raises(OutgoingRefused):
        check_url("https://nowhere.invalid/", timeout_seconds=5)


def test_gives_up_on_a_name_server_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(outgoing, "resolve", lambda host, port: time.sleep(0.5) or ["127.0.0.1"])
    began = time.monotonic()
    with pytest.raises(OutgoingFailed) as failed:
        send("https://slow.example/", timeout_seconds=0.1)
    assert failed.value.reason == "timeout"
    assert time.monotonic() - began < 0.4


def test_checks_a_url_without_calling_it(allowed):
    with OtherServer() as server:
        assert check_url(f"{server.url}/hook").path == "/hook"
    assert server.received == []
    with pytest.raises(OutgoingRefused):
        check_url("http://169.254.169.254/latest")


def test_keeps_a_connection_and_opens_another_when_the_server_closed_it(allowed):
    with OtherServer() as server, Line() as line:
        for _ in range(3):
            line.send(server.url)
        assert len({request.peer for request in server.received}) == 1

    answered = 0

    def once(connection):
        nonlocal answered
        read_request(connection)
        answered += 1
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with RawServer(once) as server, Line() as line:
        assert [line.send(server.url).body for _ in range(3)] == [b"ok"] * 3
        assert (server.connections, answered) == (3, 3)


def test_looks_a_name_up_anew_when_a_kept_connection_is_old(allowed, answers, monkeypatch):
    waiting, _ = answers
    waiting += [["127.0.0.1"], ["169.254.169.254"]]
    monkeypatch.setattr(outgoing, "LINE_SECONDS", -1.0)
    with OtherServer() as server, Line() as line:
        line.send(f"http://localhost:{server.port}/")
        with pytest.raises(OutgoingRefused):
            line.send(f"http://localhost:{server.port}/")


def test_does_not_use_a_kept_connection_for_another_server(allowed):
    with OtherServer() as one, OtherServer() as two, Line() as line:
        line.send(one.url)
        line.send(two.url)
    assert (len(one.received), len(two.received)) == (1, 1)


# --- TLS -------------------------------------------------------------------------------------------------------------


def make_authority():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def serve_as(directory, authority, host):
    """Return the TLS settings of a server with a certificate for `host`, and the list of names it was asked for."""
    authority_key, authority_certificate = authority
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        .issuer_name(authority_certificate.subject)
        .public_key(key.public_key())
        .serial_number(2)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    file = directory / f"{host}.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    return context, asked


@pytest.fixture
def authority(tmp_path, settings):
    found = make_authority()
    file = tmp_path / "authority.pem"
    file.write_bytes(found[1].public_bytes(serialization.Encoding.PEM))
    settings.CDP_OUTGOING_CA_FILE = str(file)
    return found


def test_keeps_the_name_in_host_and_sni_while_connecting_to_the_address(tmp_path, authority, answers, settings):
    settings.CDP_OUTGOING_ALLOW = ["hook.partner.example:*"]
    waiting, _ = answers
    waiting += [["127.0.0.1"]]
    context, asked = serve_as(tmp_path, authority, "hook.partner.example")
    with OtherServer(certificate=context) as server:
        assert send(f"https://hook.partner.example:{server.port}/x").status == 200
    assert asked == ["hook.partner.example"]
    assert server.received[0].headers["host"] == f"hook.partner.example:{server.port}"


def test_refuses_a_certificate_for_another_name_or_of_an_unknown_authority(tmp_path, authority, answers, settings):
    settings.CDP_OUTGOING_ALLOW = ["hook.partner.example:*"]
    waiting, _ = answers
    waiting += [["127.0.0.1"], ["127.0.0.1"]]
    other_name, _ = serve_as(tmp_path, authority, "other.example")
    other_authority, _ = serve_as(tmp_path, make_authority(), "hook.partner.example")
    for context in (other_name, other_authority):
        with OtherServer(certificate=context) as server, pytest.raises(OutgoingFailed) as failed:
            send(f"https://hook.partner.example:{server.port}/x")
        assert failed.value.reason == "tls"
        assert server.received == []
