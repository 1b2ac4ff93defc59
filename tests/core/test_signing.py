"""Signed documents, and the keys by which others verify them."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from cdp.core.signing import SignatureInvalid, canonical_json, current_key, sign_document, verify_document
from tests.world import NOW

RECEIPT = {"b": [1, True, None, "ä€"], "a": {"z": "line\nbreak", "é": "😀", "y": '"'}}


def signed(**changed: Any) -> dict[str, Any]:
    return {**sign_document(RECEIPT, purpose="test", now=NOW), **changed}


def test_writes_canonical_json_as_rfc_8785_does() -> None:
    # The order of section 3.2.3 of the RFC, by UTF-16 code units: the emoji comes before the Hebrew letter with dagesh.
    names = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    order = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_json(names))) == order
    assert canonical_json({"b": "\u000f\b", "a": [1, None]}) == b'{"a":[1,null],"b":"\\u000f\\b"}'


@pytest.mark.parametrize("value", [1.5, 2**53, float("nan")])
def test_signs_no_number_that_readers_may_round(value: float) -> None:
    with pytest.raises(ValueError, match="no fractions"):
        sign_document({"a": value}, purpose="test", now=NOW)


def test_verifies_what_it_signed() -> None:
    assert verify_document(json.loads(json.dumps(signed())), purpose="test") == current_key()


@pytest.mark.parametrize(
    "change",
    [
        {"a": {"z": "line\nbreak", "é": "😀", "y": "'"}},
        {"c": 1},
        {"proof": None},
        {"proof": {}},
    ],
)
def test_refuses_a_document_that_was_changed(change: dict[str, Any]) -> None:
    with pytest.raises(SignatureInvalid):
        verify_document(signed(**change))


@pytest.mark.parametrize("name", ["purpose", "created_at", "public_key", "type", "canonicalization", "signature"])
def test_refuses_a_proof_that_was_changed(name: str) -> None:
    document = signed()
    document["proof"][name] = "consent_receipt" if name != "signature" else base64.b64encode(b"0" * 64).decode()
    with pytest.raises(SignatureInvalid):
        verify_document(document)


def test_refuses_another_kind_of_document() -> None:
    with pytest.raises(SignatureInvalid, match="something else than erasure_certificate"):
        verify_document(signed(), purpose="erasure_certificate")


def test_refuses_a_key_that_nobody_trusts(settings: Any) -> None:
    settings.CDP_SIGNING_KEY = "another installation's key, long enough"
    document = signed()
    settings.CDP_SIGNING_KEY = ""
    with pytest.raises(SignatureInvalid, match="none of those that are trusted"):
        verify_document(document)
    assert verify_document(document, public_keys=[document["proof"]["public_key"]]).id == document["proof"]["key_id"]


def test_verifies_what_a_retired_key_signed(settings: Any) -> None:
    document = signed()
    settings.CDP_SIGNING_KEY = "the key that came after, long enough for all"
    with pytest.raises(SignatureInvalid):
        verify_document(document)
    settings.CDP_SIGNING_KEYS_RETIRED = [document["proof"]["public_key"]]
    assert verify_document(document).retired
    keys = Client().get("/.well-known/cdp-signing-keys.json").json()["keys"]
    assert [key.get("retired", False) for key in keys] == [False, True]


def test_publishes_the_key_that_signs() -> None:
    answer = Client().get("/.well-known/cdp-signing-keys.json")
    (key,) = answer.json()["keys"]
    assert key == {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "x": key["x"], "kid": current_key().id}
    assert verify_document(signed(), public_keys=[key["x"]])


def test_can_be_verified_by_openssl_alone(tmp_path: Path) -> None:
    if shutil.which("openssl") is None or shutil.which("jq") is None:
        pytest.skip("needs jq and openssl")
    (tmp_path / "receipt.json").write_text(json.dumps(signed(), indent=2), encoding="utf-8")
    (tmp_path / "key.pem").write_bytes(Client().get("/.well-known/cdp-signing-key.pem").content)
    guide = Path("docs/how-to/verify-a-signature.md").read_text(encoding="utf-8")
    commands = [line for line in guide.splitlines() if line.startswith(("jq ", "openssl "))]
    script = "\n".join(["set -e", *commands]).replace("cdp-signing-key.pem", "key.pem")
    ended = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "Signature Verified Successfully\n"), ended.stderr
    forged = (tmp_path / "receipt.json").read_text(encoding="utf-8").replace("break", "broke")
    (tmp_path / "receipt.json").write_text(forged, encoding="utf-8")
    ended = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode != 0


def test_command_says_what_was_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(signed()), encoding="utf-8")
    call_command("verify_signature", str(path))
    path.write_text(json.dumps(signed(a=1)), encoding="utf-8")
    with pytest.raises(SystemExit, match="1"):
        call_command("verify_signature", str(path))
    shown = capsys.readouterr()
    assert shown.out.startswith("test, signed 2026-03-14T15:09:26.000+00:00")
    assert shown.err == "The document is not what was signed.\n"
