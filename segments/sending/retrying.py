"""What an answer means: delivered, given up, to be tried again, or the whole line to be rested.

Who is to blame decides what waits. A receiver that is away, slow, overloaded (429, 503) or refuses the credentials
rests the whole line, with growing pauses; a delivery that makes it fail (500) waits by itself; one that it refuses
for good (400, 404, 413, 422) is given up; 410 says that the endpoint is gone, and disables it.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SENT, DEAD, ROW_FAILED, LINE_FAILED, GONE, NOT_TRIED = "sent", "dead", "row_failed", "line_failed", "gone", "not_tried"

GIVEN_UP = frozenset({400, 404, 405, 406, 409, 411, 413, 414, 415, 422})
ITS_OWN_FAULT = frozenset({500, 501, 505, 507})
GONE_STATUS = 410

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
# A receiver that asks for a longer pause is asked again after this.
LONGEST_ASKED_SECONDS = 3600.0
MOST_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt, which was about so many `people`."""

    state: str
    reason: str = ""
    status: int | None = None
    pause_seconds: float = 0.0
    took_ms: int = 0
    people: int = 1


def judge_answer(*, status: int, retry_after: str, now: datetime, took_ms: int) -> Outcome:
    """Return what an answer means."""
    if 200 <= status < 300:
        return Outcome(SENT, "", status, took_ms=took_ms)
    reason = f"http {status}"
    if status == GONE_STATUS:
        return Outcome(GONE, reason, status, took_ms=took_ms)
    if status in GIVEN_UP:
        return Outcome(DEAD, reason, status, took_ms=took_ms)
    if status in ITS_OWN_FAULT:
        return Outcome(ROW_FAILED, reason, status, took_ms=took_ms)
    # A redirect is not followed: it would lead to where nobody checked.
    reason = "redirect" if 300 <= status < 400 else reason
    return Outcome(LINE_FAILED, reason, status, asked_pause(retry_after, now), took_ms)


def asked_pause(value: str, now: datetime) -> float:
    """Return the seconds that Retry-After asks for; 0 where it asks for none, or in no way that is known.

    References
    ----------
    RFC 9110, 10.2.3.
    """
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            at = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return 0.0
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_ASKED_SECONDS)


def pause(failures: int) -> float:
    """Return a pause that doubles with each failure; uneven, so that not all who wait come back together."""
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(max(failures, 1) - 1, 20))
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret
