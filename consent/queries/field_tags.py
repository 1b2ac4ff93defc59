"""Which fields serve which purposes, and where they are used against that."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from cdp.core import registries
from consent.errors import UnknownFieldOverride, UnknownFieldTag
from consent.field_models import FieldOverride, FieldTag
from consent.models import Purpose
from consent.queries.purposes import get_purpose

TRAIT, EVENT = FieldTag.Kind.TRAIT.value, FieldTag.Kind.EVENT.value
ANY_EVENT = "*"
SPECIAL = FieldTag.Sensitivity.SPECIAL_CATEGORY.value
# An identifier is asked for by its type, and comes as the trait of that name.
KINDS = {"trait": TRAIT, "event": EVENT, "identifier": TRAIT}


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A field that does not serve the purpose, and why; `token` is how the user of it named it."""

    token: str
    kind: str
    name: str
    sensitivity: str
    reason: str


@dataclass(frozen=True, slots=True)
class UncoveredUse:
    """Somebody who uses fields for a purpose that these do not serve."""

    used_by: str
    title: str
    purpose: str
    fields: list[Uncovered]


def list_field_tags() -> QuerySet[FieldTag]:
    """Return all tags; the caller orders them."""
    return FieldTag.objects.all()


def get_field_tag(*, tag_id: int) -> FieldTag:
    """Return a tag.

    Raises
    ------
    UnknownFieldTag
        If there is none with this id.
    """
    found = FieldTag.objects.filter(pk=tag_id).first()
    if found is None:
        raise UnknownFieldTag
    return found


def read_sensitivities(*, kind: str = TRAIT) -> dict[str, str]:
    """Return how sensitive the tagged traits (or types of events) are; what is left out is ``personal``."""
    return dict(FieldTag.objects.filter(kind=kind).values_list("name", "sensitivity"))


def list_field_overrides() -> QuerySet[FieldOverride]:
    """Return the officer's leaves, lifted ones included; the caller orders them."""
    return FieldOverride.objects.select_related("purpose")


def get_field_override(*, override_id: int) -> FieldOverride:
    """Return a leave.

    Raises
    ------
    UnknownFieldOverride
        If there is none with this id.
    """
    found = list_field_overrides().filter(pk=override_id).first()
    if found is None:
        raise UnknownFieldOverride
    return found


def find_uncovered(*, purpose: str, tokens: Iterable[str], used_by: str) -> list[Uncovered]:
    """Return the fields among `tokens` that do not serve the purpose and that no officer has allowed.

    Parameters
    ----------
    purpose : str
        The purpose's key.
    tokens : iterable of str
        As `segments` names what a definition depends on: ``trait:NAME``, ``event:NAME``, ``event:*`` (which uses every
        type of event), ``identifier:TYPE``; others are no fields and are passed over.
    used_by : str
        For example ``segment:KEY``.

    Raises
    ------
    UnknownPurpose
        A purpose that does not exist covers nothing.
    """
    found = get_purpose(key=purpose)
    tags = {(tag.kind, tag.name): tag for tag in FieldTag.objects.order_by("kind", "name")}
    allowed = set(
        FieldOverride.objects.filter(used_by=used_by, purpose=found, lifted_at=None).values_list("kind", "name")
    )
    return _judge(found, tokens, tags, allowed)


def list_uncovered_uses() -> list[UncoveredUse]:
    """Return who uses fields now against their tags: tags and purposes may have changed since it was saved."""
    tags = {(tag.kind, tag.name): tag for tag in FieldTag.objects.order_by("kind", "name")}
    purposes = {purpose.key: purpose for purpose in Purpose.objects.all()}
    allowed: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for used_by, key, kind, name in FieldOverride.objects.filter(lifted_at=None).values_list(
        "used_by", "purpose__key", "kind", "name"
    ):
        allowed.setdefault((used_by, key), set()).add((kind, name))
    found = []
    for use in [one for read in registries.field_uses for one in read()]:
        if use.purpose not in purposes:
            continue
        against = _judge(purposes[use.purpose], use.tokens, tags, allowed.get((use.used_by, use.purpose), set()))
        if against:
            found.append(UncoveredUse(use.used_by, use.title, use.purpose, against))
    return found


def _judge(
    purpose: Purpose,
    tokens: Iterable[str],
    tags: dict[tuple[str, str], FieldTag],
    allowed: set[tuple[str, str]],
) -> list[Uncovered]:
    found = []
    for token in sorted(set(tokens)):
        kind, _, name = token.partition(":")
        if kind not in KINDS:
            continue
        named = (
            [tag for key, tag in tags.items() if key[0] == EVENT]
            if token == f"{EVENT}:{ANY_EVENT}"
            else [tags[key] for key in [(KINDS[kind], name)] if key in tags]
        )
        for tag in named:
            reason = _reason(tag, purpose)
            if reason and (tag.kind, tag.name) not in allowed:
                found.append(Uncovered(token, tag.kind, tag.name, tag.sensitivity, reason))
    return found


def _reason(tag: FieldTag, purpose: Purpose) -> str:
    what = f"The {'trait' if tag.kind == TRAIT else 'event'} “{tag.name}”"
    if tag.purposes is not None and purpose.key not in tag.purposes:
        served = ", ".join(tag.purposes)
        return f"{what} may serve {f'only {served}' if served else 'no purpose'}, not {purpose.key}."
    if tag.sensitivity == SPECIAL and not purpose.special_category:
        return f"{what} is of a special category, and the purpose {purpose.key} is not set up for these (GDPR Art. 9)."
    return ""
