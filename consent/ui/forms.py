"""Forms of the pages of consent and privacy."""

from typing import Any

from django import forms
from django.core.validators import RegexValidator

from cdp.core.errors import FieldError, InvalidInput
from consent.deadlines import REGULATIONS
from consent.decision import LEGAL_BASES, RECORDABLE, SUBJECT
from consent.letters.catalogue import KINDS as ALL_LETTERS
from consent.models import PrivacyRequest
from consent.queries.purposes import list_notices, list_purposes
from consent.queries.suppressions import HASHES
from consent.tcf.mapping import MODE_SIGNALS, TCF_PURPOSES
from consent.words.choosing import LANGUAGES
from profiles.errors import BadIdentifier
from profiles.models import IdentifierType
from profiles.queries.people import Named, name_identifier

INPUT = {"class": "input"}
# Those with a secret link are sent by the product itself.
LETTER_KINDS = [kind for kind in ALL_LETTERS if kind not in ("identity", "package")]
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
        options.setdefault("required", False)
        super().__init__(max_length=2000, **options)

    def clean(self, value: Any) -> list[str]:
        """Return the parts."""
        return [part.strip() for part in super().clean(value).split(",") if part.strip()]


class NumbersField(ListField):
    """Whole numbers, separated by commas."""

    def clean(self, value: Any) -> list[int]:  # type: ignore[override]
        """Return the numbers."""
        parts = super().clean(value)
        if not all(part.isascii() and part.isdecimal() and int(part) in TCF_PURPOSES for part in parts):
            message = f"Numbers from {TCF_PURPOSES[0]} to {TCF_PURPOSES[-1]}, separated by commas."
            raise forms.ValidationError(message)
        return [int(part) for part in parts]


class WordsField(forms.CharField):
    """Translations, one line each: language, name, description."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, max_length=20_000, widget=forms.Textarea(attrs={"rows": 4}), **options)

    def clean(self, value: Any) -> dict[str, dict[str, str]]:
        """Return name and description by language."""
        found = {}
        for line in super().clean(value).splitlines():
            language, colon, rest = line.partition(":")
            if not line.strip():
                continue
            if language.strip() not in LANGUAGES or not colon:
                message = f"A line is LANGUAGE: NAME | DESCRIPTION, in one of {', '.join(LANGUAGES)}."
                raise forms.ValidationError(message)
            name, _, description = rest.partition("|")
            found[language.strip()] = {"name": name.strip(), "description": description.strip()}
        return found


def write_words(words: dict[str, dict[str, str]]) -> str:
    """Return translations as `WordsField` reads them."""
    return "\n".join(
        f"{language}: {own.get('name', '')} | {own.get('description', '')}" for language, own in words.items()
    )


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
    description = forms.CharField(
        required=False, max_length=2000, help_text="One plain sentence for the people who are asked."
    )
    words = WordsField(
        label="Translations", help_text="One line a language, such as: de: Newsletter | Angebote, einmal in der Woche."
    )
    tcf_purposes = NumbersField(
        label="IAB purposes",
        help_text="Numbers of the TCF that this purpose needs, all of them; none: consent strings say nothing on it.",
    )
    consent_mode = forms.MultipleChoiceField(
        required=False,
        label="Google consent mode",
        choices=[(one, one) for one in MODE_SIGNALS],
        widget=forms.SelectMultiple(attrs={"size": len(MODE_SIGNALS)}),
        help_text="Signals that stand for this purpose.",
    )
    gpc = forms.BooleanField(required=False, label="Global Privacy Control opts out of it (sale and sharing of data)")
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


class AsksField(ListField):
    """Purposes with their channels: PURPOSE or PURPOSE:CHANNEL, separated by commas."""

    def clean(self, value: Any) -> list[dict[str, str]]:  # type: ignore[override]
        """Return what is asked."""
        parts = [part.partition(":") for part in super().clean(value)]
        return [{"purpose": purpose.strip(), "channel": channel.strip()} for purpose, _, channel in parts]


def write_asks(asks: list[dict[str, str]]) -> str:
    """Return what is asked as `AsksField` reads it."""
    return ", ".join(":".join(filter(None, (one["purpose"], one.get("channel", "")))) for one in asks)


class ConsentFormForm(StyledForm):
    """A hosted form."""

    name = forms.CharField(max_length=200, help_text="Its heading, where a language has no title of its own.")
    asks = AsksField(
        required=True,
        label="Asks for",
        help_text="PURPOSE or PURPOSE:CHANNEL, separated by commas: news:email, offers.",
    )
    notice_key = forms.ChoiceField(label="Notice", help_text="Its latest version in the reader's language is shown.")
    languages = forms.MultipleChoiceField(
        choices=[(code, words.own_name) for code, words in LANGUAGES.items()],
        initial=list(LANGUAGES),
        widget=forms.SelectMultiple(attrs={"size": len(LANGUAGES)}),
    )
    texts = WordsField(
        label="Titles and introductions", help_text="One line a language: de: Anmelden | Einmal in der Woche Neues."
    )
    identifier_type = forms.ChoiceField(
        choices=[("email", "E-mail address"), ("phone", "Phone number")], label="People are named by"
    )
    double_opt_in = forms.BooleanField(
        required=False, initial=True, label="Confirm by mail before it counts (double opt-in)"
    )
    enabled = forms.BooleanField(required=False, initial=True, label="The form is open")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["notice_key"].choices = notice_choices()  # type: ignore[attr-defined]

    def clean_texts(self) -> dict[str, dict[str, str]]:
        """Name the parts as the page does."""
        given = self.cleaned_data["texts"]
        return {code: {"title": own["name"], "intro": own["description"]} for code, own in given.items()}


class NewConsentFormForm(ConsentFormForm):
    """A new hosted form."""

    key = forms.CharField(validators=[SLUG], help_text="Part of its address, for good.")
    field_order = ["key", "name"]


class ConsentImportForm(StyledForm):
    """A table of consents."""

    file = forms.FileField(label="CSV file", help_text="UTF-8, with a heading.")
    preset = forms.ChoiceField(
        choices=[("columns", "Own columns"), ("onetrust", "Export of OneTrust"), ("klaviyo", "Export of Klaviyo")],
        label="Columns",
    )
    purpose = forms.ChoiceField(
        required=False, label="Purpose", help_text="Of tables that name none, such as those of Klaviyo."
    )
    purposes = forms.CharField(
        required=False,
        max_length=20_000,
        label="Names of purposes",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One line each, where the table has other names than yours: Weekly offers = news.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = list_purposes().order_by("name", "id").values_list("key", "name")
        self.fields["purpose"].choices = [("", "Named in the table"), *known]  # type: ignore[attr-defined]

    def clean_purposes(self) -> dict[str, str]:
        """Return our keys by the table's names."""
        lines = [line for line in self.cleaned_data["purposes"].splitlines() if line.strip()]
        if not all("=" in line for line in lines):
            message = "A line is NAME = KEY."
            raise forms.ValidationError(message)
        pairs = [line.rpartition("=") for line in lines]
        return {name.strip(): key.strip() for name, _, key in pairs}


class PreferenceLinkForm(StyledForm):
    """A link for one person."""

    kind = forms.ChoiceField(choices=[("preferences", "Preferences"), ("unsubscribe", "Unsubscribe")])
    asks = AsksField(label="Ends", help_text="Of a link to unsubscribe: PURPOSE:CHANNEL.")
    language = forms.ChoiceField(
        required=False,
        choices=[("", "That of the browser"), *((code, one.own_name) for code, one in LANGUAGES.items())],
    )


def notice_choices() -> list[tuple[str, str]]:
    """Return the keys of all notices."""
    return [(key, key) for key in sorted(set(list_notices().values_list("key", flat=True)))]


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


def find_email(value: str) -> Named | None:
    """Return what somebody typed as an e-mail address; None if it is none."""
    try:
        return name_identifier(type="email", value=value.strip())
    except BadIdentifier:
        return None


class ParticularsForm(StyledForm):
    """Where letters go, and in which language."""

    contact = forms.EmailField(required=False, max_length=254, label="E-mail for letters")
    language = forms.ChoiceField(choices=[(code, words.own_name) for code, words in LANGUAGES.items()])


class CorrectionForm(StyledForm):
    """What a trait should be."""

    trait = forms.CharField(max_length=255)
    value = forms.CharField(max_length=5000, required=False, empty_value=None)


class NoteForm(StyledForm):
    """Something to remember."""

    text = forms.CharField(max_length=10_000, widget=forms.Textarea(attrs={"rows": 3}))


class LetterForm(StyledForm):
    """A letter."""

    kind = forms.ChoiceField(choices=[(kind, kind.capitalize()) for kind in LETTER_KINDS])
    language = forms.ChoiceField(choices=[(code, words.own_name) for code, words in LANGUAGES.items()])
    text = forms.CharField(max_length=20_000, strip=False, widget=forms.Textarea(attrs={"rows": 14}))


def read_or_refuse(form_class: type[forms.Form], data: Any) -> dict[str, Any]:
    """Return what a small form says.

    Raises
    ------
    InvalidInput
        Naming the fields that are wrong.
    """
    form = form_class(data)
    if not form.is_valid():
        faults = [FieldError(name, "invalid", str(texts[0])) for name, texts in form.errors.items()]
        message = "; ".join(f"{fault.path}: {fault.message}" for fault in faults)
        raise InvalidInput(message, errors=faults)
    return form.cleaned_data


class SuppressionForm(IdentifierForm):
    """An identifier to keep out."""

    format = forms.ChoiceField(
        choices=[("raw", "The identifier itself"), *((one, one.upper()) for one in HASHES)],
        label="The value is",
        help_text="A hash: of the normal form (e-mail in lower case, phone with +), in hexadecimal.",
    )
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
