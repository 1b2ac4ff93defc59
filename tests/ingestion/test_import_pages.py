"""The pages of imports: upload, mapping with preview, trial, progress, rows, taking back."""

import io
import re

import pytest
from django.test import TestCase

from cdp.core.sealed_files import sealed_directory
from ingestion.models import Import
from tests.ingestion.filing import PEOPLE, traits, work
from tests.world import signed_in

pytestmark = pytest.mark.django_db
FILE = PEOPLE + ",nobody@x.example,No,1\n"


@pytest.fixture(autouse=True)
def data_directory(settings, tmp_path):
    settings.CDP_DATA_DIR = tmp_path / "data"


def upload(browser, content=FILE, name="crm.csv"):
    file = io.BytesIO(content.encode())
    file.name = name
    answer = browser.post("/imports", {"file": file})
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return answer["Location"]


def fields(page):
    """Return the fields of the mapping as the page offers them."""
    found = dict(re.findall(r'<input type="text" name="([^"]+)" value="([^"]*)"', page))
    for name, options in re.findall(r'<select name="([^"]+)".*?>(.*?)</select>', page, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return found


def test_from_the_upload_to_the_rows():
    browser = signed_in("ada")
    address = upload(browser)
    page = browser.get(address).content.decode()
    assert "ana@x.example" in page
    guessed = fields(page)
    assert (guessed["source"], guessed["key"], guessed["records"]) == ("crm", "id", "profiles")
    assert (guessed["as-1"], guessed["as-2"], guessed["name-2"]) == ("both:email", "trait", "first")
    given = {**guessed, "name-2": "first_name", "event": ""}

    tried = browser.post(address, {**given, "try": "1"}).content.decode()
    assert "What would happen" in tried
    assert "The row has no key." in tried
    assert Import.objects.get().status == "uploaded"

    assert browser.post(address, {**given, "start": "1"})["Location"] == address
    assert 'hx-trigger="every 1s"' in browser.get(address).content.decode()
    with TestCase.captureOnCommitCallbacks(execute=True):
        work()
    assert traits()["1"] == {"email": "ana@x.example", "first_name": "Ana", "age": 34}
    page = browser.get(address).content.decode()
    assert "The row has no key." in page
    assert "nobody@x.example" in page
    rows = b"".join(browser.get(f"{address}/rows?outcome=rejected").streaming_content).decode()
    assert rows.splitlines()[1].startswith("3,rejected,no_key")
    assert "hx-get" not in browser.get(f"{address}/progress").content.decode()

    browser.post(f"{address}/undo")
    work()
    assert (Import.objects.get().status, traits()) == ("undone", {})
    assert list(sealed_directory().iterdir()) == []


def test_says_what_is_wrong_beside_the_field():
    browser = signed_in("ada")
    address = upload(browser)
    given = {**fields(browser.get(address).content.decode()), "key": "", "event": ""}
    answer = browser.post(address, {**given, "start": "1"})
    assert answer.status_code == 422
    assert "Name the key" in answer.content.decode()
    assert Import.objects.get().status == "uploaded"


def test_refuses_a_file_that_cannot_be_read():
    file = io.BytesIO(b"PK\x03\x04broken")
    file.name = "x.xlsx"
    answer = signed_in("ada").post("/imports", {"file": file})
    assert answer.status_code == 400
    assert "damaged" in answer.content.decode()
    assert list(sealed_directory().iterdir()) == []


def test_an_upload_never_lies_in_the_clear(settings, monkeypatch):
    seen = []

    def look(*, upload, actor, now):
        chunks = list(upload.chunks)
        seen.extend(path.read_bytes() for path in sealed_directory().iterdir())
        return real(upload=type(upload)(chunks, upload.name), actor=actor, now=now)

    from ingestion.ui import imports

    real = imports.upload_file
    monkeypatch.setattr(imports, "upload_file", look)
    upload(signed_in("ada"), PEOPLE * 3)
    assert len(seen) == 1
    assert b"ana@x.example" not in seen[0]


def test_drops_an_upload():
    browser = signed_in("ada")
    address = upload(browser)
    with TestCase.captureOnCommitCallbacks(execute=True):
        browser.post(f"{address}/cancel")
    assert Import.objects.get().status == "cancelled"
    assert list(sealed_directory().iterdir()) == []


def test_a_marketer_sees_masked_values_and_changes_nothing():
    address = upload(signed_in("ada"))
    browser = signed_in("ana")
    assert "ana@x.example" not in browser.get(address).content.decode()
    assert browser.post(address, {"start": "1"}).status_code == 403
    assert browser.post(f"{address}/cancel").status_code == 403
    assert 'type="file"' not in browser.get("/imports").content.decode()
    assert signed_in("cy").get("/imports").status_code == 403
