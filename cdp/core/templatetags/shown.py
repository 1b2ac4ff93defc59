"""How pages write times, numbers and JSON."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

NEVER = "never"
NOTHING = "\u2013"
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DIGEST = re.compile(r"[0-9a-f]{32,}")
PERIODS = ((7 * 24 * 60, "week"), (24 * 60, "day"), (60, "hour"), (1, "minute"))


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """Write a time in the installation's zone, exact in its attribute."""
    if value is None:
        return NEVER
    local = timezone.localtime(value)
    return format_html(
        '<time class="nowrap" datetime="{}" title="{}">{}</time>',
        value.isoformat(),
        local.strftime("%Y-%m-%d %H:%M:%S %Z"),
        date_format(local, "j M Y H:i"),
    )


@register.filter
def exact_moment(value: datetime | None) -> SafeString | str:
    """Write a time with its seconds."""
    if value is None:
        return NEVER
    local = timezone.localtime(value)
    return format_html(
        '<time class="nowrap" datetime="{}">{}</time>', value.isoformat(), date_format(local, "j M Y H:i:s")
    )


@register.filter
def day(value: datetime | None) -> SafeString | str:
    """Write the day of a time."""
    if value is None:
        return NEVER
    local = timezone.localtime(value)
    return format_html('<time class="nowrap" datetime="{}">{}</time>', value.isoformat(), date_format(local, "j M Y"))


@register.filter
def thousands(value: Any) -> str:
    """Write a number with thin spaces between thousands."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}".replace(",", "\u202f")


@register.filter
def group_size(value: int | None) -> str:
    """Write how many people a group has; None stands for one that is too small to be told."""
    return f"fewer than {settings.CDP_SMALLEST_GROUP}" if value is None else thousands(value)


@register.filter
def pretty(value: Any) -> str:
    """Write a JSON value over several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.filter
def plain(value: Any) -> str:
    """Write a JSON value in one line, texts without quotes."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


@register.filter
def words(value: str) -> str:
    """Write a name of the code as words."""
    return str(value).replace("_", " ").replace(".", " ").replace("-", " ")


@register.filter
def thing(value: str) -> str:
    """Write what the audit trail names as kind and key (``segment:vips``) as people say it, long ids short."""
    kind, _, key = str(value).partition(":")
    return f"{words(kind)} {short_id(key) if UUID_TEXT.fullmatch(key) else key}".rstrip()


@register.filter
def facts(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the members of a small JSON object as words; digests and ids are shortened."""
    return [(words(name), _fact(value)) for name, value in detail.items()]


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_fact, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{name} {text}" for name, text in facts(value)) or "none"
    text = "none" if value is None else str(value)
    return f"{text[:8]}…" if DIGEST.fullmatch(text) or UUID_TEXT.fullmatch(text) else text


@register.filter
def every(minutes: int) -> str:
    """Write a period of so many minutes, in its largest whole unit."""
    size, unit = next((size, unit) for size, unit in PERIODS if minutes % size == 0)
    return f"every {unit}" if minutes == size else f"every {minutes // size} {unit}s"


@register.filter
def percent(value: float | None) -> str:
    """Write a share of 0 to 100; what is almost everything is not written as everything."""
    if value is None:
        return NOTHING
    rounded = f"{value:.1f}"
    if rounded == "100.0":
        return "100 %" if value >= 100 else "99.9 %"
    return f"{rounded.removesuffix('.0')} %".replace(" ", "\u202f")


@register.filter
def duration(seconds: float | None) -> str:
    """Write a length of time in one unit that reads well."""
    if seconds is None:
        return NOTHING
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}\u202f{unit}"
    return f"{seconds:.0f}\u202fs" if seconds >= 10 else f"{seconds:.1f}\u202fs"


@register.filter
def short_id(value: Any) -> str:
    """Write the first eight characters of a long id."""
    return str(value)[:8]


@register.filter
def unlocalized(value: Any) -> str:
    """Write a number as programs read it: without separators, with a point."""
    return str(value)
