"""What somebody sees who has tried too many passwords."""

from datetime import timedelta
from typing import Any

from axes.helpers import get_cool_off
from django.http import HttpRequest, HttpResponse

from cdp.core.api.problems import problem_body
from cdp.core.ui.errors import error_page


def locked_out(request: HttpRequest, _response: HttpResponse | None, _credentials: Any = None) -> HttpResponse:
    """Answer 429 and say how long to wait, whether the address exists or not (django-axes)."""
    wait = get_cool_off(request) or timedelta(minutes=15)
    minutes = max(1, round(wait.total_seconds() / 60))
    body = problem_body(
        code="too_many_attempts",
        status=429,
        title="Too many attempts",
        detail=f"Signing in failed too often. Wait {minutes} minutes, or ask for a new password.",
    )
    response = error_page(request, body)
    response["Retry-After"] = str(int(wait.total_seconds()))
    return response
