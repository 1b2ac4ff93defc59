"""The page on SDKs says what the journeys drive, and nothing else."""

from tests.journeys.sdk_table import PAGE, table


def test_the_page_holds_what_the_journeys_drive():
    assert table() in PAGE.read_text(), "Write it anew: python -m tests.journeys.sdk_table"
