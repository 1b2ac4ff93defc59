"""The menu of the shell."""

from typing import Any

from django.http import HttpRequest


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu for the person who is signed in."""
    return [{"title": "Overview", "items": []}] if request.user.is_authenticated else []
