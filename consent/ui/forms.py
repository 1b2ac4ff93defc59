"""Forms of the pages of consent and privacy."""

from typing import Any

from django import forms
from django.core.validators import RegexValidator

from consent.deadlines import REGULATIONS
from consent.decision import LEGAL_BASES, RECORDABLE, SUBJECT
from consent.models import PrivacyRequest
from profiles.models import IdentifierType

INPUT = {"class": "input"}
SLUG = RegexValidator(
    r"^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$", "Lower-case letters, digits, hyphens and underscores; 64 at most."
)
LANGUAGE = RegexValidator(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "A language tag such as en or pt-BR.")
STATE_NAMES = {
    "granted": "Granted",
    "denied": "Denied",
    "withdrawn": "Withdrawn",
    "objected": "Objected",
    "pending": "Pending (asked, not confirmed)",
}


class StyledForm(forms.Form):
    """Gives every field the look of the pages."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if not isinstance(field.widget, forms.CheckboxInput):
                field.widget.attrs.update(INPUT)


class ListField(forms.CharField):
    """Short texts, separated by commas."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, max_length=2000, **options)

    def clean(self, value: Any) -> list[str]:
        """Return the parts."""
        return [part.strip() for part in super().clean(value).split(",") if part.strip()]


class PurposeForm(StyledForm):
    """The properties of a purpose."""

    name = forms.CharField(max_length=200)
    legal_basis = forms.ChoiceField(
        choices=[(one, one.replace("_", " ").capitalize()) for one in LEGAL_BASES],
        help_text="GDPR Art. 6(1): what makes processing for this purpose lawful.",
    )
    channels = ListField(help_text="For example: email, sms, push. Separated by commas; none means any.")
    retention_days = forms.IntegerField(required=False, min_value=1, max_value=36500, label="Keep for (days)")
    recipients = ListField(help_text="Who else gets the data. Separated by commas.")
    consent_categories = ListField(
        help_text="Categories of the consent object that messages carry; without any, the key of the purpose."
    )
    special_category = forms.BooleanField(required=False, label="Special categories of data (GDPR Art. 9)")


class NewPurposeForm(PurposeForm):
    """A new purpose."""

    key = forms.CharField(validators=[SLUG], help_text="Names the purpose everywhere and for good.")
    field_order = ["key", "name"]


class NoticeForm(StyledForm):
    """A text that people are shown."""

    key = forms.CharField(validators=[SLUG], help_text="The same key and language again makes the next version.")
    language = forms.CharField(max_length=16, validators=[LANGUAGE], initial="en")
    text = forms.CharField(
        max_length=1_000_000, strip=False, widget=forms.Textarea(attrs={"rows": 12}), help_text="Kept byte for byte."
    )


class DecisionForm(StyledForm):
    """A decision of one person."""

    purpose = forms.CharField(max_length=64)
    channel = forms.CharField(max_length=32, required=False)
    state = forms.ChoiceField(choices=[(one, STATE_NAMES[one]) for one in RECORDABLE])
    actor = forms.ChoiceField(choices=[(SUBJECT, "The person"), ("agent", "Somebody for the person")])
    evidence = forms.CharField(max_length=2000, required=False)


class EvidenceForm(StyledForm):
    """What settles a conflict."""

    evidence = forms.CharField(max_length=2000)


class ReasonForm(StyledForm):
    """Why something is done."""

    reason = forms.CharField(max_length=2000)


class IdentifierForm(StyledForm):
    """An identifier."""

    identifier_type = forms.ChoiceField(label="Type")
    value = forms.CharField(max_length=512, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = IdentifierType.objects.order_by("priority", "id").values_list("key", "name")
        self.fields["identifier_type"].choices = list(types)  # type: ignore[attr-defined]


class SuppressionForm(IdentifierForm):
    """An identifier to keep out."""

    reason = forms.CharField(max_length=2000)


class RequestForm(StyledForm):
    """What a person asks for."""

    type = forms.ChoiceField(choices=PrivacyRequest.Type.choices, initial=PrivacyRequest.Type.ERASURE)
    regulation = forms.ChoiceField(choices=[(one, one.upper()) for one in REGULATIONS])
    received_on = forms.DateField(
        required=False,
        label="Asked on",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The period runs from this day; empty means today.",
    )


class RequestByIdentifierForm(IdentifierForm, RequestForm):
    """The same, for a person who is named by an identifier."""

    field_order = ["identifier_type", "value", "type", "regulation", "received_on"]
