"""Forms of the pages of collection."""

from typing import Any

from django import forms

from consent.queries.purposes import list_purposes
from ingestion.services.sources import KINDS, MAX_HOLD_DAYS, MAX_OWNER, MAX_PURPOSE
from ingestion.spec.limits import MAX_EVENT_BYTES, MAX_REQUEST_BYTES

KIND_NAMES = {"server": "Server (secret key)", "browser": "Browser (public key)", "mobile": "Mobile app (public key)"}
INPUT = {"class": "input"}
KILO = 1024
PERIODS = {
    5: "every 5 minutes",
    15: "every quarter of an hour",
    60: "every hour",
    6 * 60: "every 6 hours",
    24 * 60: "every day",
    7 * 24 * 60: "every week",
    31 * 24 * 60: "every 31 days",
}


class SettingsForm(forms.Form):
    """What can be changed of a source."""

    name = forms.CharField(max_length=120, required=False, help_text="For people; without one, the key.")
    required_purpose = forms.ChoiceField(
        required=False,
        label="Store only with consent to",
        help_text="Messages of people who refused are suppressed, and those of people who were not asked are held.",
    )
    hold_days = forms.IntegerField(
        min_value=1,
        max_value=MAX_HOLD_DAYS,
        initial=30,
        label="Hold for (days)",
        help_text="How long a message waits for a decision.",
    )
    max_event_kilobytes = forms.IntegerField(
        min_value=1,
        max_value=MAX_REQUEST_BYTES // KILO,
        initial=MAX_EVENT_BYTES // KILO,
        label="Largest message (KB)",
        help_text="Larger ones are put into quarantine.",
    )

    ip_storage = forms.ChoiceField(
        choices=[
            ("truncated", "Its network only (203.0.113.0)"),
            ("none", "Not at all"),
            ("full", "The whole address"),
        ],
        initial="truncated",
        required=False,
        label="Keep of the sender's address",
        help_text="Of browsers and apps. A server's own address is never kept.",
    )

    owner = forms.CharField(max_length=MAX_OWNER, required=False, help_text="A person, team or address to turn to.")
    purpose = forms.CharField(
        max_length=MAX_PURPOSE, required=False, label="What it is for", help_text="In words, or the key of a purpose."
    )
    expected_every_minutes = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        label="Expect a message at least",
        help_text="Where none came, the inventory shows the source as overdue.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        periods = dict(PERIODS)
        # One that was set by REST may lie between those that are offered.
        given = self.initial.get("expected_every_minutes")
        if given is not None:
            periods.setdefault(given, f"every {given} minutes")
        self.fields["expected_every_minutes"].choices = [("", "No expectation"), *sorted(periods.items())]  # type: ignore[attr-defined]
        purposes = [(one.key, one.name) for one in list_purposes().order_by("name", "id")]
        self.fields["required_purpose"].choices = [("", "No condition"), *purposes]  # type: ignore[attr-defined]
        for one in self.fields.values():
            one.widget.attrs.update(INPUT)


class SourceForm(SettingsForm):
    """A new source."""

    key = forms.SlugField(
        max_length=64, help_text="Letters, digits, hyphens: names the source everywhere and for good."
    )
    kind = forms.ChoiceField(choices=[(kind.value, KIND_NAMES[kind.value]) for kind in KINDS])
    field_order = ["key", "name", "kind"]


class ChangeForm(SettingsForm):
    """The settings of a source that exists."""

    enabled = forms.BooleanField(
        required=False, help_text="Switched off, its key is answered like an unknown one within five seconds."
    )


class LookupForm(forms.Form):
    """A message id to look for."""

    message_id = forms.CharField(max_length=512)
