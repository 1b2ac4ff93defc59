"""Alerts in words: names of sources, events and fields, and numbers; never what a message says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingestion.alerting.detect import DROP, MISSING, OUTAGE, REJECTED, SILENCE, SPIKE

STATED = "stated"
MOST_TOLD = 20
KIND_NAMES = {
    OUTAGE: "All sources silent",
    SILENCE: "Silence",
    SPIKE: "Spike",
    DROP: "Drop",
    REJECTED: "Rejected messages",
    MISSING: "Field missing",
}
KIND_MEANINGS = {
    OUTAGE: "Nothing comes from any source. One notice instead of one for each source.",
    SILENCE: "Messages of a source, or of one of its events, have stopped.",
    SPIKE: "Far more messages in an hour than usual at this hour of the week.",
    DROP: "Far fewer messages in an hour than usual at this hour of the week.",
    REJECTED: "A larger share of messages than usual is rejected or put into quarantine.",
    MISSING: "A field that is normally there is missing, null or empty in many messages.",
}


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as it is told: what it is about by names, the numbers, and when."""

    id: int
    kind: str
    source: str
    type: str
    event: str
    field: str
    observed: float
    expected: float
    basis: str
    since: datetime
    ended_at: datetime | None = None


def tell_subject(told: Told) -> str:
    """Return what an alert is about, as ``shop, Order Completed, total``."""
    event = told.event or (f"{told.type} calls" if told.type else "")
    return ", ".join(part for part in (told.source or "all sources", event, told.field) if part)


def tell(told: Told) -> str:
    """Return an alert as one sentence."""
    about = tell_subject(told)
    if told.kind == OUTAGE:
        return f"No source has sent anything; about {_number(told.expected)} messages were expected meanwhile."
    if told.kind == SILENCE and told.basis == STATED:
        return f"{about}: no message for {_minutes(told.observed)}; one is expected every {_minutes(told.expected)}."
    if told.kind == SILENCE:
        return f"{about}: no message; about {_number(told.expected)} were expected meanwhile."
    if told.kind == SPIKE:
        return f"{about}: {_number(told.observed)} messages in an hour; {_number(told.expected)} are usual."
    if told.kind == DROP:
        return f"{about}: only {_number(told.observed)} messages in an hour; {_number(told.expected)} are usual."
    if told.kind == REJECTED:
        return f"{about}: {_percent(told.observed)} of the messages are rejected or in quarantine; {_usual(told)}."
    return f"{about}: missing or empty in {_percent(told.observed)} of the messages; {_usual(told)}."


def subject_line(*, opened: Sequence[Told], still: Sequence[Told], ended: Sequence[Told]) -> str:
    """Return the subject of a mail."""
    if opened:
        return _line(opened, "alert", "alerts")
    if still:
        return _line(still, "alert still open", "alerts still open")
    return _line(ended, "alert over", "alerts over")


def mail_text(*, opened: Sequence[Told], still: Sequence[Told], ended: Sequence[Told], address: str) -> str:
    """Return the text of a mail; of each part at most 20 alerts are named."""
    parts = []
    for title, alerts in (("New", opened), ("Still open", still), ("Over", ended)):
        if alerts:
            lines = [f"- {tell(one)} Since {one.since:%Y-%m-%d %H:%M} UTC." for one in alerts[:MOST_TOLD]]
            if len(alerts) > MOST_TOLD:
                lines.append(f"- and {len(alerts) - MOST_TOLD} more")
            parts.append(f"{title}:\n" + "\n".join(lines))
    return "\n\n".join([*parts, f"Look, acknowledge or mute: {address}"]) + "\n"


def webhook_data(
    *, opened: Sequence[Told], still: Sequence[Told], ended: Sequence[Told], address: str
) -> dict[str, Any]:
    """Return what a webhook carries; of each part at most 20 alerts, with the number of all."""
    data: dict[str, Any] = {"address": address}
    for name, alerts in (("opened", opened), ("still_open", still), ("ended", ended)):
        data[name] = {"count": len(alerts), "alerts": [_fields(one) for one in alerts[:MOST_TOLD]]}
    return data


def _fields(told: Told) -> dict[str, Any]:
    return {
        "id": str(told.id),
        "kind": told.kind,
        "source": told.source or None,
        "type": told.type or None,
        "event": told.event or None,
        "field": told.field or None,
        "observed": round(told.observed, 4),
        "expected": round(told.expected, 4),
        "since": told.since.isoformat(),
        "ended_at": told.ended_at.isoformat() if told.ended_at is not None else None,
        "text": tell(told),
    }


def _line(alerts: Sequence[Told], one: str, many: str) -> str:
    if len(alerts) == 1:
        return f"{KIND_NAMES[alerts[0].kind]}: {tell_subject(alerts[0])} ({one})"
    names = list(dict.fromkeys(told.source or "all sources" for told in alerts))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(alerts)} {many}: {', '.join(names[:3])}{more}"


def _usual(told: Told) -> str:
    return f"{_percent(told.expected)} is usual" if told.basis != "none" else "what is usual is not known yet"


def _number(value: float) -> str:
    return f"{round(value):,}".replace(",", "\u202f")


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"


def _minutes(minutes: float) -> str:
    whole = round(minutes)
    if whole < 120:
        return f"{whole} minute{'s' if whole != 1 else ''}"
    if whole < 48 * 60:
        return f"{round(whole / 60)} hours"
    return f"{round(whole / 1440)} days"
