"""Alive, ready, and in numbers."""

import pytest
from django.db import OperationalError
from django.test import Client

from cdp.core import registries
from cdp.core.queries import health
from cdp.core.registries import WorkStep


def _away(*_args, **_kwargs):
    raise OperationalError


@pytest.mark.django_db
def test_is_alive(django_assert_num_queries):
    with django_assert_num_queries(1):
        answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_is_not_alive_without_the_database(monkeypatch, path):
    monkeypatch.setattr(health.connection, "cursor", _away)
    answer = Client().get(path)
    assert answer.status_code == 503
    assert "database" in answer.content.decode()


@pytest.mark.django_db
def test_is_ready():
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "checks": {"database": "ok", "migrations": "ok", "broker": "ok", "inbox": "ok"},
    }


@pytest.mark.django_db
def test_is_degraded_but_ready_without_the_broker(settings, monkeypatch):
    monkeypatch.setattr(health, "broker_answers", lambda: False)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


def test_a_broker_that_is_away_does_not_answer(monkeypatch):
    connect = health.app.connection_for_write
    monkeypatch.setattr(
        health.app, "connection_for_write", lambda **options: connect("redis://127.0.0.1:1/0", **options)
    )
    assert health.broker_answers() is False


@pytest.mark.django_db
def test_is_not_ready_before_the_migrations(monkeypatch):
    monkeypatch.setattr(health, "has_all_migrations", lambda: False)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "manage.py migrate" in answer.json()["checks"]["migrations"]


@pytest.mark.django_db
def test_shows_what_waits_in_numbers(monkeypatch):
    monkeypatch.setattr(registries, "work_steps", [WorkStep("inbox", lambda: 7, lambda: 0)])
    text = Client().get("/metrics").content.decode()
    assert 'cdp_pending{step="inbox"} 7.0' in text
    assert "cdp_audit_unsealed 0.0" in text


@pytest.mark.django_db
def test_counts_requests_by_pattern_not_by_path():
    Client().get("/invitations/secret-token-of-somebody")
    text = Client().get("/metrics").content.decode()
    assert 'route="invitations/<str:token>"' in text
    assert "secret-token" not in text


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_refuses_writing(path):
    assert Client().post(path).status_code == 405


@pytest.mark.django_db
def test_health_checks_do_not_fill_the_log(caplog):
    caplog.set_level("INFO")
    Client().get("/healthz")
    assert [record for record in caplog.records if record.name == "cdp.requests"] == []


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_answers_a_supervisor_that_asks_by_address(settings, path):
    settings.ALLOWED_HOSTS = ["cdp.house.example"]
    assert Client().get(path, headers={"host": "172.17.0.2:8000"}).status_code == 200
    assert Client().get("/password/reset", headers={"host": "172.17.0.2:8000"}).status_code == 400
