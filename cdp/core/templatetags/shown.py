"""How pages write times, numbers and JSON."""

import json
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

NEVER = "never"


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
def short_id(value: Any) -> str:
    """Write the first eight characters of a long id."""
    return str(value)[:8]
