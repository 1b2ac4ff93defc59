"""Forms of exports and destinations."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.db.models import QuerySet

from consent.queries.purposes import list_purposes
from segments.models import Segment
from segments.queries.segments import list_segments
from segments.sending.columns import Column, read_columns
from segments.sending.errors import InvalidSending
from segments.sending.presets import PRESETS
from segments.sending.templates import MOST_PEOPLE_PER_REQUEST
from segments.sending_models import Destination, Export, ExportSchedule
from segments.ui.forms import KEY

OWN = "columns"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
COLUMN_HELP = (
    "One per line: a source, or Name = source, or Name = source | transform. Sources: id, email, phone, "
    "identifier:TYPE, trait:NAME. Transforms such as hash_email give the SHA-256 of the normal form."
)


def read_column_lines(text: str) -> list[dict[str, str]]:
    """Return columns as REST takes them from one line each."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        left, equals, right = line.rpartition("=")
        source, _, transform = (right if equals else line).partition("|")
        column = {"source": source.strip(), "transform": transform.strip()}
        found.append({"name": left.strip(), **column} if equals else column)
    return found


def write_column_lines(columns: Sequence[Mapping[str, str]]) -> str:
    """Return columns as one line each."""
    lines = []
    for column in columns:
        own = column["name"] != column["source"].rpartition(":")[2]
        text = f"{column['name']} = {column['source']}" if own else column["source"]
        lines.append(f"{text} | {column['transform']}" if column["transform"] else text)
    return "\n".join(lines)


class ColumnsField(forms.CharField):
    """Columns, one per line."""

    widget = forms.Textarea

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"class": "input mono", "rows": 5, "spellcheck": "false"})
        super().__init__(**{"help_text": COLUMN_HELP, "widget": widget, **options})

    def clean(self, value: Any) -> list[dict[str, str]]:
        """Return the columns, or say what is wrong with which."""
        lines = read_column_lines(super().clean(value) or "")
        try:
            read: Sequence[Column] = read_columns(lines) if lines else ()
        except InvalidSending as error:
            raise forms.ValidationError([_told(one.path, one.message) for one in error.errors]) from error
        return [column.as_json() for column in read]


def _told(path: str, message: str) -> str:
    place = path.split(".")[1] if "." in path else ""
    return f"Line {int(place) + 1}: {message}" if place.isdigit() else message


class JsonField(forms.CharField):
    """JSON that somebody writes."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"class": "input mono", "rows": 6, "spellcheck": "false"})
        super().__init__(**{"required": False, "widget": widget, **options})

    def clean(self, value: Any) -> Any:
        """Return the value; None for an empty field."""
        text = super().clean(value)
        if not text or not text.strip():
            return None
        try:
            return json.loads(text)
        except ValueError as error:
            message = "This is not valid JSON."
            raise forms.ValidationError(message, code="invalid") from error


class AudienceForm(forms.Form):
    """Who is sent, and for what."""

    segment = forms.ChoiceField(label="Segment", help_text="A live one.")
    purpose = forms.ChoiceField(label="Purpose", required=False, help_text="Each person must allow it at that moment.")
    channel = forms.CharField(
        label="Channel", required=False, max_length=32, help_text="How people will be reached, e.g. email."
    )
    recipient = forms.CharField(
        label="Recipient", max_length=200, help_text="Who receives the data, for the register of disclosures."
    )

    def __init__(self, *args: Any, segments: QuerySet[Segment] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        offered = list_segments() if segments is None else segments
        live = offered.filter(status=Segment.Status.LIVE).order_by("name", "id")
        if "segment" in self.fields:
            self.fields["segment"].choices = [(one.key, one.name) for one in live]  # type: ignore[attr-defined]
        purposes = [(one.key, one.name) for one in list_purposes().order_by("name", "id")]
        self.fields["purpose"].choices = [("", "That of the segment"), *purposes]  # type: ignore[attr-defined]
        for field in self.fields.values():
            if not isinstance(field, forms.BooleanField):
                field.widget.attrs.setdefault("class", "input")


class ExportForm(AudienceForm):
    """An export to make."""

    format = forms.ChoiceField(choices=Export.Format.choices, label="Format")
    preset = forms.ChoiceField(
        label="Columns",
        choices=[*((key, title) for key, (title, _) in PRESETS.items()), (OWN, "Own columns, below")],
    )
    columns = ColumnsField(label="Own columns", required=False)

    def clean(self) -> dict[str, Any]:
        """Need columns where own ones are chosen, and leave others out."""
        given = super().clean() or {}
        if given.get("preset") == OWN:
            if not given.get("columns") and "columns" not in self.errors:
                self.add_error("columns", "Give at least one column, or choose a preset.")
            return {**given, "preset": ""}
        return {**given, "columns": []}


class ScheduleForm(ExportForm):
    """An export to make again and again."""

    name = forms.CharField(label="Name", max_length=200)
    every = forms.ChoiceField(label="Every", choices=ExportSchedule.Every.choices)
    at = forms.TimeField(label="At", widget=forms.TimeInput(attrs={"type": "time", "class": "input"}), initial="06:00")
    weekday = forms.TypedChoiceField(label="On (weekly)", choices=list(enumerate(WEEKDAYS)), coerce=int, required=False)
    day = forms.IntegerField(label="On day (monthly)", min_value=1, max_value=31, initial=1, required=False)

    field_order = ("name", "segment", "every", "at", "weekday", "day")


class DestinationForm(AudienceForm):
    """What a destination is made of."""

    name = forms.CharField(label="Name", max_length=200)
    kind = forms.ChoiceField(
        label="Kind",
        choices=[
            (Destination.Kind.WEBHOOK, "Webhook: signed, in our form"),
            (Destination.Kind.REQUEST, "Request by template, in the receiver's form"),
        ],
    )
    key = forms.CharField(
        label="Key",
        max_length=64,
        validators=[RegexValidator(KEY, "A key has lower-case letters, digits, - and _.")],
        help_text="Names the destination in REST; it stays.",
    )
    url = forms.CharField(label="URL", max_length=2048, help_text="Places such as {{person.email}} may stand in it.")
    method = forms.ChoiceField(label="Method", choices=[(name, name) for name in ("POST", "PUT", "PATCH", "DELETE")])
    headers = JsonField(label="Headers", help_text='For example {"Authorization": "Bearer {{secret.token}}"}')
    body = JsonField(label="Body", help_text="JSON for requests by template; texts may hold places.")
    removal = JsonField(
        label="Removal",
        help_text='How somebody is taken off: {"method", "url", "headers", "body"}. '
        "Not needed where the request says {{event}}.",
    )
    columns = ColumnsField(label="What is sent of a person", initial="id")
    secrets = JsonField(
        label="Secrets", help_text='For example {"token": "…"}: kept sealed, never shown again. Empty: they stay.'
    )
    people_per_request = forms.IntegerField(
        label="People per request",
        min_value=1,
        max_value=MOST_PEOPLE_PER_REQUEST,
        initial=1,
        required=False,
        help_text="More than one where the receiver takes lists: of a body such as "
        '{"people": [{"id": "{{person.id}}"}]} the item is repeated.',
    )
    send_entered = forms.BooleanField(label="Tell who enters", required=False, initial=True)
    send_left = forms.BooleanField(
        label="Tell who leaves", required=False, initial=True, help_text="Withdrawals are always told."
    )

    field_order = ("name", "key", "segment", "purpose", "channel", "recipient", "kind", "url", "method")

    def __init__(self, *args: Any, is_new: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        if not is_new:
            for name in ("key", "segment", "kind"):
                del self.fields[name]

    def clean_people_per_request(self) -> int:
        """Return the number; an empty field means one by one."""
        return self.cleaned_data["people_per_request"] or 1

    def clean_secrets(self) -> dict[str, Any]:
        """Return an object of texts."""
        given = self.cleaned_data["secrets"]
        if given is None:
            return {}
        if not isinstance(given, dict) or not all(value is None or isinstance(value, str) for value in given.values()):
            message = "An object of names and texts; null takes one away."
            raise forms.ValidationError(message, code="invalid")
        return given

    def template(self) -> dict[str, Any]:
        """Return the request as REST takes it."""
        given = self.cleaned_data
        request = {"url": given["url"], "method": given["method"], "headers": given["headers"] or {}}
        return request if given["body"] is None else {**request, "body": given["body"], "body_format": "json"}
