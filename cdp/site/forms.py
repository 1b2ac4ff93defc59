"""Forms of the pages over several apps."""

from typing import Any

from django import forms

from consent.retention_models import RetentionRule


class RetentionForm(forms.Form):
    """A retention schedule."""

    kind = forms.ChoiceField(label="What", choices=RetentionRule.Kind.choices)
    name = forms.CharField(max_length=255, help_text="The event's name, or the trait's.")
    keep_days = forms.IntegerField(label="Days", min_value=1, max_value=36500)
    reason = forms.CharField(max_length=300, required=False, help_text="Why so long, for the register.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.setdefault("class", "input")
