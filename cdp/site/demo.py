"""Whether the data shown is the demo's: whose it is and what of it is invented must stand beside it."""

from enum import StrEnum

from django.conf import settings


class Demo(StrEnum):
    """How far the demo data is."""

    ABSENT = ""
    LOADING = "loading"
    LOADED = "loaded"


def find_demo() -> Demo:
    """Return how far the demo data is, by the marks that `load_demo` leaves in the data directory."""
    if (settings.CDP_DATA_DIR / "demo.progress").exists():
        return Demo.LOADING
    return Demo.LOADED if (settings.CDP_DATA_DIR / "demo.done").exists() else Demo.ABSENT
