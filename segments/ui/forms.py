"""Forms of the pages of segments."""

from django import forms

from segments.models import Segment


class StatusForm(forms.Form):
    """A new status."""

    status = forms.ChoiceField(choices=Segment.Status.choices)
