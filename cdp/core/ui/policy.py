"""The content security policy of pages that stand alone: public ones and the API docs.

The shell's policy is in the settings; it allows what the shell's Alpine needs. Here nothing is inline and nothing is
evaluated.
"""

from collections.abc import Callable
from typing import TypeVar, cast

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django.http import HttpResponseBase

STRICT = {
    "default-src": [SELF],
    "script-src": [SELF],
    "style-src": [SELF],
    "img-src": [SELF, "data:"],
    "base-uri": [SELF],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
    "object-src": [NONE],
}

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def strict_policy(view: View) -> View:
    """Give the answers of a view the strict policy."""
    return cast(View, csp_replace(STRICT)(view))
