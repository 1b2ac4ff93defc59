"""Forms of the pages of imports."""

from typing import Any

from django import forms
from django.utils.text import slugify

from ingestion.errors import InvalidImport, InvalidSource
from ingestion.imports.mapping import MODES, RECORD_ID, ColumnMapping
from ingestion.models import Import
from ingestion.services.imports import check_fits, shape_of
from profiles.models import IdentifierType

INPUT = {"class": "input"}
SMALL = {"class": "input input-small input-auto"}
NOTHING = "ignore"
TRAIT = "trait"
# What people call the columns that are identifiers nearly everywhere.
GUESSES = {
    "email": ("email", "e-mail", "mail", "email_address", "emailaddress", "e_mail"),
    "phone": ("phone", "phone_number", "mobile", "telephone", "tel", "phonenumber"),
    "user_id": ("user_id", "userid"),
}
KEYS = ("id", "key", "customer_id", "customerid", "record_id", "customer", "uid", "uuid", "number")
TYPE_NAMES = {
    "": "as found",
    "text": "text",
    "number": "number",
    "boolean": "true or false",
    "time": "time",
    "list": "list",
    "json": "JSON",
}
RECORD_NAMES = {
    "profiles": "one person each",
    "events": "one event each",
    "messages": "one message each, as archived by Segment",
}


class UploadForm(forms.Form):
    """A file to import."""

    file = forms.FileField(
        help_text="CSV, JSON Lines, Excel (.xlsx) or Parquet, text also packed with gzip. The first row names columns."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["file"].widget.attrs.update(INPUT)


class MappingForm(forms.Form):
    """What becomes of each column."""

    source = forms.SlugField(max_length=64, help_text="A new name makes a new source; a known one adds to it.")
    records = forms.ChoiceField(label="Each row is")
    key = forms.ChoiceField(
        required=False,
        label="Key",
        help_text="The column that names each record: the same key in a later file of this source is the same one.",
    )
    time = forms.ChoiceField(
        required=False, label="Time", help_text="When the row was true or happened; without one, now."
    )
    event = forms.CharField(
        required=False, max_length=512, label="Name of the events", help_text="Of rows that are events; or a column:"
    )
    event_column = forms.ChoiceField(required=False, label="Column with the name of the event")
    delete_column = forms.ChoiceField(
        required=False, label="Deleted", help_text="A row in which this column is true takes its record back."
    )
    empty = forms.ChoiceField(
        required=False,
        label="An empty cell",
        choices=[("skip", "says nothing"), ("unset", "takes the trait away")],
    )

    def __init__(self, found: Import, *args: Any, **kwargs: Any) -> None:
        self.found = found
        self.shape = shape_of(found)
        self.columns = list(self.shape.columns)
        kwargs.setdefault("initial", self._guess())
        super().__init__(*args, **kwargs)
        choices = [("", "none"), *((name, name) for name in self.columns)]
        for name in ("key", "time", "event_column", "delete_column"):
            self.fields[name].choices = choices  # type: ignore[attr-defined]
        kinds = ["messages", "profiles", "events"] if self.shape.messages else ["profiles", "events"]
        self.fields["records"].choices = [(kind, RECORD_NAMES[kind]) for kind in kinds]  # type: ignore[attr-defined]
        identifiers = [
            (f"identifier:{row.key}", f"identifier: {row.name}")
            for row in IdentifierType.objects.exclude(key=RECORD_ID).order_by("priority", "id")
        ]
        for place, name in enumerate(self.columns):
            both = [(f"both:{key.partition(':')[2]}", f"{label} and trait") for key, label in identifiers]
            self.fields[f"as-{place}"] = forms.ChoiceField(
                choices=[(TRAIT, "trait"), *identifiers, *both, (NOTHING, "left out")],
                label=f"What {name} becomes",
                widget=forms.Select(attrs=SMALL),
            )
            self.fields[f"name-{place}"] = forms.CharField(
                required=False,
                max_length=255,
                label=f"Name of the trait from {name}",
                widget=forms.TextInput({**SMALL, "size": 14}),
            )
            self.fields[f"type-{place}"] = forms.ChoiceField(
                required=False,
                choices=list(TYPE_NAMES.items()),
                label=f"Type of {name}",
                widget=forms.Select(attrs=SMALL),
            )
            self.fields[f"mode-{place}"] = forms.ChoiceField(
                required=False,
                choices=[(mode, mode) for mode in MODES],
                label=f"Where the profile has {name}",
                widget=forms.Select(attrs=SMALL),
            )
        for name in ("source", "records", "key", "time", "event", "event_column", "delete_column", "empty"):
            self.fields[name].widget.attrs.update(INPUT)

    def general(self) -> list[forms.BoundField]:
        """Return the fields that are of the whole file."""
        names = ("source", "records", "key", "time", "delete_column", "event", "event_column", "empty")
        return [self[name] for name in names]

    def column_rows(self, samples: list[list[str]]) -> list[dict[str, Any]]:
        """Return each column with its fields, its found type and its first values."""
        return [
            {
                "name": name,
                "type": self.found.types.get(name, "text"),
                "samples": samples[place] if place < len(samples) else [],
                "fields": [self[f"{part}-{place}"] for part in ("as", "name", "type", "mode")],
            }
            for place, name in enumerate(self.columns)
        ]

    def clean(self) -> dict[str, Any]:
        """Put the mapping together, and check it as the import does."""
        given = super().clean() or {}
        if self.errors:
            return given
        self.mapping = self._mapping(given)
        try:
            check_fits(self.mapping, self.shape, source_key=given["source"])
        except (InvalidImport, InvalidSource) as error:
            for fault in error.errors:
                place = fault.path.partition(".")[0]
                self.add_error(place if place in self.fields else None, fault.message)
            if not error.errors:
                self.add_error(None, error.message)
        return given

    def _mapping(self, given: dict[str, Any]) -> ColumnMapping:
        if given["records"] == "messages":
            return ColumnMapping(records="messages")
        identifiers, traits, ignore, types, modes = {}, {}, [], {}, {}
        special = {given["key"], given["time"], given["delete_column"], given["event_column"]}
        for place, name in enumerate(self.columns):
            target = given[f"as-{place}"]
            if target.startswith(("identifier:", "both:")):
                identifiers[name] = target.partition(":")[2]
            if name in special:
                continue
            if target == NOTHING:
                ignore.append(name)
            elif target == TRAIT or target.startswith("both:"):
                trait = given[f"name-{place}"].strip() or name
                traits[name] = trait
                if given[f"type-{place}"]:
                    types[name] = given[f"type-{place}"]
                if given["records"] == "profiles" and given[f"mode-{place}"] not in ("", "overwrite"):
                    modes[trait] = given[f"mode-{place}"]
        is_event = given["records"] == "events"
        return ColumnMapping(
            records=given["records"],
            key=given["key"],
            identifiers=identifiers,
            traits={name: trait for name, trait in traits.items() if name != trait or name in identifiers},
            ignore=tuple(ignore),
            types=types,
            modes=modes,
            time=given["time"],
            event=given["event"].strip() if is_event and not given["event_column"] else "",
            event_column=given["event_column"] if is_event else "",
            delete_column="" if is_event else given["delete_column"],
            empty=given["empty"] or "skip",
        )

    def _guess(self) -> dict[str, Any]:
        folded = {name: name.strip().lower().replace(" ", "_") for name in self.columns}
        guess: dict[str, Any] = {
            "source": slugify(self.found.file_name.partition(".")[0])[:64] or "import",
            "records": "messages" if self.shape.messages else "profiles",
            "key": next((name for key in KEYS for name in self.columns if folded[name] == key), ""),
        }
        for place, name in enumerate(self.columns):
            kind = next((kind for kind, names in GUESSES.items() if folded[name] in names), None)
            # Messages make both of an address, too: one finds the person, the other is shown and segmented by.
            form = "both" if kind in ("email", "phone") else "identifier"
            guess[f"as-{place}"] = f"{form}:{kind}" if kind else TRAIT
            guess[f"name-{place}"] = kind or name
            if name == guess["key"]:
                guess[f"as-{place}"] = NOTHING
        return guess
