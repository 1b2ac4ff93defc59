"""What people are asked, in their language: purposes, channels, the notice, and the whole text that they see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent import decision as rules
from consent.asking_models import Form
from consent.errors import UnknownPurpose
from consent.models import Notice, Purpose
from consent.queries.current import current_consents
from consent.queries.purposes import list_notices
from consent.words.catalogue import Words

# Of these a person can say no; a contract or a legal obligation is not theirs to choose.
CHOSEN = (rules.CONSENT, rules.LEGITIMATE_INTERESTS, rules.PUBLIC_TASK)


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to decide: a purpose on one channel (``""``: all of them), in words."""

    purpose: Purpose
    channel: str
    name: str
    description: str
    channel_name: str

    @property
    def cell(self) -> str:
        """The name of its field in a form."""
        return f"{self.purpose.key}:{self.channel}"

    @property
    def line(self) -> str:
        """All of it in one line."""
        about = f": {self.description}" if self.description else ""
        return f"{self.name} ({self.channel_name}){about}"


@dataclass(frozen=True, slots=True)
class Choice:
    """An ask with how the person stands to it."""

    ask: Ask
    allowed: bool
    state: str
    since: datetime | None


def put_in_words(*, asks: Sequence[Mapping[str, str]], words: Words) -> list[Ask]:
    """Return asks (``{"purpose", "channel"}``) in a language, in their order (one statement).

    Raises
    ------
    UnknownPurpose
        If a purpose does not exist.
    """
    purposes = {row.key: row for row in Purpose.objects.filter(key__in=[one["purpose"] for one in asks])}
    found = []
    for one in asks:
        if one["purpose"] not in purposes:
            raise UnknownPurpose(one["purpose"])
        found.append(word(purposes[one["purpose"]], one.get("channel") or "", words))
    return found


def word(purpose: Purpose, channel: str, words: Words) -> Ask:
    """Return one ask in a language; where nobody has translated the purpose, in that of the installation."""
    own = purpose.words.get(words.code, {})
    return Ask(
        purpose=purpose,
        channel=channel,
        name=own.get("name") or purpose.name,
        description=own.get("description") or purpose.description,
        channel_name=words.channel(channel),
    )


def list_choices(*, profile_id: int, words: Words, now: datetime) -> list[Choice]:
    """Return everything that a person can decide, by purpose and channel, and how they stand to it."""
    held = current_consents(profile_ids=[profile_id], now=now).get(profile_id, [])
    cells = {(one.decision.purpose.key, one.decision.channel): one for one in held}
    found = []
    for purpose in Purpose.objects.filter(legal_basis__in=CHOSEN).order_by("name", "id"):
        named = {channel for key, channel in cells if key == purpose.key and channel}
        for channel in sorted({*purpose.channels, *named}) or [""]:
            one = cells.get((purpose.key, channel)) or cells.get((purpose.key, ""))
            state = one.state if one is not None else rules.UNKNOWN
            if purpose.legal_basis == rules.CONSENT:
                allowed = state == rules.GRANTED and not (one is not None and one.conflict)
            else:
                allowed = state not in rules.REFUSALS and not (one is not None and one.conflict)
            since = one.decision.effective_at if one is not None else None
            found.append(Choice(word(purpose, channel, words), allowed, state, since))
    return found


def find_notice(*, key: str, language: str) -> Notice | None:
    """Return the latest version of a notice in a language; without one in that language, in any."""
    rows = list_notices().filter(key=key).order_by("-version", "-id")
    return rows.filter(language__istartswith=language).first() or rows.first()


def form_text(*, form: Form, asks: Sequence[Ask], notice: Notice | None, words: Words) -> str:
    """Return everything that a form says to whoever decides on it."""
    own: Mapping[str, Any] = form.texts.get(words.code, {})
    parts = [own.get("title") or form.name, own.get("intro", ""), words.form_choose, *(ask.line for ask in asks)]
    return "\n".join([*parts, notice.text if notice is not None else ""])


def page_text(*, title: str, intro: str, asks: Sequence[Ask]) -> str:
    """Return everything that the page of a link says to whoever decides on it."""
    return "\n".join([title, intro, *(ask.line for ask in asks)])
