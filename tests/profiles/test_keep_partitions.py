"""Partitions ahead of time, whatever the installation did in between."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from profiles.partitions import add_months
from profiles.services.keeping import keep_partitions

pytestmark = pytest.mark.django_db


def names(parent):
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [parent])
        return {row[0] for row in cursor.fetchall()}


def test_fills_the_months_that_passed_while_nothing_ran():
    later = datetime.now(UTC) + timedelta(days=300)
    keep_partitions(later)
    month = add_months(datetime.now(UTC).date(), 0)
    while month <= add_months(later.date(), 3):
        assert f"profiles_event_m{month:%Y_%m}" in names("profiles_event")
        month = add_months(month, 1)


def test_drops_history_that_is_too_old(settings):
    settings.CDP_CHANGE_DAYS = 5
    today = datetime.now(UTC)
    keep_partitions(today + timedelta(days=7))
    assert f"profiles_change_d{today:%Y_%m_%d}" not in names("profiles_change")
    assert f"profiles_change_d{today + timedelta(days=7):%Y_%m_%d}" in names("profiles_change")


def test_may_run_again():
    keep_partitions(datetime.now(UTC))
    before = names("profiles_event")
    keep_partitions(datetime.now(UTC))
    assert names("profiles_event") == before
