"""Logs that hold no personal data, found by planting some."""

import io
import json
import logging
import sys

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from cdp.core import logs
from cdp.core.errors import Conflict
from cdp.core.models import User
from tests.world import api, staff

CANARY = "canary@customer.example"


@pytest.fixture
def written(monkeypatch):
    """Return what is written to the log from now on, as JSON lines."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    logs.configure({"json": True, "level": "DEBUG"})
    yield stream.getvalue
    root.handlers[:], root.level = before[0], before[1]
    logs.configure({"json": False, "level": "WARNING"})
    root.handlers[:] = before[0]


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def log_exception(error: Exception) -> None:
    try:
        raise error
    except Exception:
        logging.getLogger("cdp.test").exception("it failed")


def test_writes_json_lines(written):
    logging.getLogger("cdp.test").warning("hello", extra={"job": 7})
    (line,) = lines(written())
    assert (line["event"], line["level"], line["logger"], line["job"]) == ("hello", "warning", "cdp.test", 7)


@pytest.mark.parametrize("error", [ValueError(CANARY), KeyError(CANARY), RuntimeError(CANARY), UnicodeError(CANARY)])
def test_leaves_out_what_an_error_says(written, error):
    log_exception(error)
    assert CANARY not in written()
    assert type(error).__name__ in lines(written())[0]["exception"]
    assert "test_logs.py" in lines(written())[0]["exception"]


def test_leaves_out_the_words_of_every_cause(written):
    try:
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            raise Conflict("Something else was first.") from error
    except Conflict:
        logging.getLogger("cdp.test").exception("it failed")
    text = lines(written())[0]["exception"]
    assert CANARY not in text
    assert "Conflict: Something else was first." in text
    assert "caused by" in text


@pytest.mark.django_db
def test_names_the_constraint_but_not_the_row(written):
    User.objects.create_user(CANARY)
    try:
        with transaction.atomic():
            User.objects.create_user(CANARY)
    except IntegrityError:
        logging.getLogger("cdp.test").exception("it failed")
    text = written()
    assert CANARY not in text
    assert "SQLSTATE 23505" in text
    assert "core_user_email_key" in text


def test_leaves_out_an_error_that_a_framework_formats_into_its_message(written):
    error = ValueError(CANARY)
    try:
        raise error
    except ValueError:
        logging.getLogger("celery.app.trace").error("Task raised: %(exc)s", {"exc": repr(error)}, exc_info=True)
    assert CANARY not in written()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address", [f"/nothing/{CANARY}", f"/api/v1/audit?actor={CANARY}", f"/invitations/{CANARY}", f"/{CANARY}/"]
)
def test_request_lines_hold_neither_path_nor_query(written, address):
    Client(raise_request_exception=False).get(address)
    assert CANARY not in written()
    assert any(line["event"] == "request" and line["method"] == "GET" for line in lines(written()))


@pytest.mark.django_db
def test_a_fault_of_ours_is_logged_without_the_address(written, monkeypatch):
    monkeypatch.setattr("cdp.core.api.audit.find_entries", _fail)
    client = api("audit:read")
    client.raise_request_exception = False
    assert client.get(f"/api/v1/audit?actor={CANARY}").status_code == 500
    assert CANARY not in written()
    assert any("KeyError" in line.get("exception", "") for line in lines(written()))


def _fail(**_given):
    raise KeyError(CANARY)


@pytest.mark.django_db
def test_failed_logins_do_not_name_who_tried(written):
    staff("ana")
    browser = Client()
    for _ in range(6):
        browser.post("/admin/login/", {"username": CANARY, "password": "wrong-password-canary"})
    assert CANARY not in written()
    assert "wrong-password-canary" not in written()
