"""Forms of the pages of segments."""

import json
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.http import QueryDict

from segments.models import Segment
from segments.services.rights import CHANGE, VIEW

KEY = r"^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$"
RESERVED = ("preview", "compare", "values", "export", "import", "templates", "new", "properties")


class StatusForm(forms.Form):
    """A new status."""

    status = forms.ChoiceField(choices=Segment.Status.choices)


def check_not_reserved(key: str) -> None:
    """Refuse keys whose address means something else."""
    if key in RESERVED:
        raise forms.ValidationError("This key is reserved.", code="reserved")


def key_field() -> forms.CharField:
    """Return a field for the key of a new segment."""
    message = "A key has lower-case letters, digits, - and _."
    return forms.CharField(
        max_length=64,
        validators=[RegexValidator(KEY, message), check_not_reserved],
        help_text="Names the segment in REST; it stays.",
        widget=forms.TextInput(attrs={"class": "input mono", "autocomplete": "off"}),
    )


def text_input(**attributes: Any) -> forms.TextInput:
    """Return a text field in the style of the pages."""
    return forms.TextInput(attrs={"class": "input", "autocomplete": "off", **attributes})


class DefinitionForm(forms.Form):
    """A segment written as JSON, for browsers without JavaScript."""

    name = forms.CharField(max_length=200, widget=text_input())
    key = key_field()
    tags = forms.CharField(required=False, max_length=900, help_text="Separated by commas.", widget=text_input())
    definition = forms.CharField(
        widget=forms.Textarea(attrs={"class": "input mono", "rows": 20, "spellcheck": "false"}),
        help_text="In the language segment/v1.",
    )

    def __init__(self, data: QueryDict | None = None, *, existing: bool, initial: dict[str, Any]) -> None:
        shown = {
            **initial,
            "tags": ", ".join(initial.get("tags", ())),
            "definition": json.dumps(initial["definition"], indent=2, ensure_ascii=False),
        }
        super().__init__(data, initial=shown, auto_id="plain_%s")
        if existing:
            del self.fields["key"]

    def clean_tags(self) -> tuple[str, ...]:
        """Return the single tags."""
        return split_tags(self.cleaned_data["tags"])

    def clean_definition(self) -> Any:
        """Return the JSON."""
        try:
            found = json.loads(self.cleaned_data["definition"])
        except (ValueError, RecursionError) as error:
            message = f"This is not JSON: {error}."
            raise forms.ValidationError(message, code="invalid") from error
        if not isinstance(found, dict):
            raise forms.ValidationError("A definition is an object: {version, timezone, match}.", code="invalid")
        return found


def split_tags(text: str) -> tuple[str, ...]:
    """Return the tags of a text in which commas separate them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


class DuplicateForm(forms.Form):
    """The name and key of a copy."""

    name = forms.CharField(max_length=200, widget=text_input())
    key = key_field()


class TagsForm(forms.Form):
    """The tags of a segment."""

    tags = forms.CharField(required=False, max_length=900, help_text="Separated by commas.", widget=text_input())

    def clean_tags(self) -> tuple[str, ...]:
        """Return the single tags."""
        return split_tags(self.cleaned_data["tags"])


class RightForm(forms.Form):
    """A right on a segment for one person."""

    email = forms.EmailField(label="Person", widget=forms.EmailInput(attrs={"class": "input", "list": "staff"}))
    right = forms.ChoiceField(
        choices=[
            (VIEW, "may see it"),
            (CHANGE, "may see and change it"),
            ("owner", "owns it"),
            ("none", "has no right"),
        ],
        widget=forms.Select(attrs={"class": "input"}),
    )


class ListForm(forms.Form):
    """A new list."""

    key = forms.SlugField(max_length=64)
    name = forms.CharField(max_length=200)


class SnapshotForm(ListForm):
    """A list of who is in a segment now."""

    segment = forms.CharField(max_length=64)


class SplitForm(forms.Form):
    """Random parts of a segment, one a line."""

    segment = forms.CharField(max_length=64)
    salt = forms.CharField(max_length=200)
    parts = forms.CharField(max_length=2000)
