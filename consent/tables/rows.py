"""Rows of a table to claims: who decided what, when, and what shows it.

References
----------
Columns of exports as OneTrust (data subjects by purpose) and Klaviyo (profiles) name them; the lists below say which
are read. docs/how-to/collect-consent.md repeats them for people.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from consent.decision import DENIED, GRANTED, OBJECTED, PENDING, WITHDRAWN

COLUMNS, ONETRUST, KLAVIYO = "columns", "onetrust", "klaviyo"
PRESETS = (COLUMNS, ONETRUST, KLAVIYO)

STATES = {
    GRANTED: (
        "granted", "given", "yes", "true", "1", "active", "confirmed", "subscribed", "opt_in", "opted_in", "consented",
        "extended",
    ),
    DENIED: (
        "denied", "refused", "no", "false", "0", "no_consent", "not_given", "never_subscribed", "notgiven", "opt_out",
        "opted_out",
    ),
    WITHDRAWN: ("withdrawn", "unsubscribed", "revoked", "change_preferences_withdrawn"),
    OBJECTED: ("objected",),
    PENDING: ("pending", "pending_confirmation", "pending_double_opt_in"),
}  # fmt: skip
STATE_OF = {word: state for state, words in STATES.items() for word in words}
# States of others that end by time: the time is what counts, so that a grant with its end says the same.
ENDED = frozenset({"expired"})
MAX_VALUE = 2_000
MAX_IDENTIFIER = 512
TIME_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%m/%d/%Y %H:%M", "%m/%d/%Y")


class RowFault(ValueError):
    """A row that cannot be used; the message is a code."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One decision that a row tells of; `purpose` as the table names it."""

    identifier_type: str
    identifier: str
    purpose: str
    channel: str
    state: str
    occurred_at: datetime | None
    expires_at: datetime | None = None
    notice: str = ""
    notice_version: int | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)


Row = Mapping[str, str]


def read_claims(row: Row, *, preset: str) -> list[Claim]:
    """Return what a row tells.

    Parameters
    ----------
    row : mapping
        Values by column, the columns' names as `simplify` writes them.

    Raises
    ------
    RowFault
        With a code that says what is wrong with it.
    """
    return READERS[preset](row)


def simplify(name: str) -> str:
    """Return a column's name in lower case, words joined by underscores: exports differ in nothing else."""
    return "_".join(name.strip().lstrip("\ufeff").lower().replace("-", " ").replace("_", " ").split())


def _read_columns(row: Row) -> list[Claim]:
    kind, value = _first(row, "identifier_type"), _first(row, "identifier")
    if not value:
        for kind in ("email", "phone", "user_id", "anonymous_id"):
            value = _first(row, kind)
            if value:
                break
    elif not kind:
        raise RowFault("identifier_type_missing")
    version = _first(row, "notice_version")
    if version and not version.isdecimal():
        raise RowFault("notice_version_unreadable")
    return [
        Claim(
            identifier_type=kind,
            identifier=_need(value, "identifier_missing"),
            purpose=_need(_first(row, "purpose"), "purpose_missing"),
            channel=_first(row, "channel").lower(),
            state=_state(_first(row, "state", "status")),
            occurred_at=_time(_first(row, "occurred_at", "timestamp", "date")),
            expires_at=_time(_first(row, "expires_at")),
            notice=_first(row, "notice"),
            notice_version=int(version) if version else None,
            evidence={
                name.removeprefix("evidence_"): text[:MAX_VALUE]
                for name, text in row.items()
                if name.startswith("evidence_") and text
            },
        )
    ]


def _read_onetrust(row: Row) -> list[Claim]:
    value = _need(_first(row, "data_subject_identifier", "identifier", "data_subject", "email"), "identifier_missing")
    kind = simplify(_first(row, "identifier_type", "data_element_type"))
    if kind not in {"email", "phone", "user_id"}:
        kind = "email" if "@" in value else "user_id"
    status = simplify(_first(row, "consent_status", "status", "purpose_status", "transaction_status"))
    expires_at = _time(_first(row, "expiry_date", "expiration_date"))
    if status in ENDED and expires_at is None:
        raise RowFault("expired_without_a_date")
    evidence = {
        "collection_point": _first(row, "collection_point_name", "collection_point"),
        "transaction_id": _first(row, "transaction_id", "receipt_id", "consent_receipt_id"),
        "purpose_version": _first(row, "purpose_version", "version"),
        "privacy_notice": _first(row, "privacy_notice", "notice"),
        "interaction_type": _first(row, "interaction_type", "consent_interaction_type"),
        "geolocation": _first(row, "geolocation", "country"),
    }
    return [
        Claim(
            identifier_type=kind,
            identifier=value,
            purpose=_need(_first(row, "purpose_name", "purpose"), "purpose_missing"),
            channel=_first(row, "preference_option", "channel").lower(),
            state=GRANTED if status in ENDED else _state(status),
            occurred_at=_time(
                _first(row, "consent_date", "interaction_date", "last_transaction_date", "transaction_date")
            ),
            expires_at=expires_at,
            evidence={name: text[:MAX_VALUE] for name, text in evidence.items() if text},
        )
    ]


def _read_klaviyo(row: Row) -> list[Claim]:
    found = []
    for channel, kind, column in (("email", "email", "email"), ("sms", "phone", "phone_number")):
        status = _first(row, f"{channel}_marketing_consent", f"{channel}_consent")
        value = _first(row, column)
        # A profile that was never asked is not one that refused.
        if not status or simplify(status) in {"never_subscribed", "null", "none"}:
            continue
        method = _first(row, f"{channel}_marketing_consent_method", f"{channel}_marketing_method", "consent_method")
        evidence = {"method_detail": method, "klaviyo_id": _first(row, "klaviyo_id", "profile_id")}
        found.append(
            Claim(
                identifier_type=kind,
                identifier=_need(value, "identifier_missing"),
                purpose="",
                channel=channel,
                state=_state(status),
                occurred_at=_time(
                    _first(row, f"{channel}_marketing_consent_timestamp", f"{channel}_consent_timestamp")
                ),
                evidence={name: text[:MAX_VALUE] for name, text in evidence.items() if text},
            )
        )
    if not found and not _first(row, "email") and not _first(row, "phone_number"):
        raise RowFault("identifier_missing")
    return found


READERS: dict[str, Callable[[Row], list[Claim]]] = {
    COLUMNS: _read_columns,
    ONETRUST: _read_onetrust,
    KLAVIYO: _read_klaviyo,
}


def _first(row: Row, *names: str) -> str:
    return next((row[name].strip() for name in names if row.get(name, "").strip()), "")


def _need(value: str, fault: str) -> str:
    if not value:
        raise RowFault(fault)
    if len(value) > MAX_IDENTIFIER:
        raise RowFault("value_too_long")
    return value


def _state(text: str) -> str:
    state = STATE_OF.get(simplify(text))
    if state is None:
        raise RowFault("state_missing" if not text else "state_unknown")
    return state


def _time(text: str) -> datetime | None:
    """Read a time; without a zone it is UTC."""
    if not text:
        return None
    found = _parse(text)
    if not 1970 <= found.year <= 9998:
        raise RowFault("time_unreadable")
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _parse(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in TIME_FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise RowFault("time_unreadable")
