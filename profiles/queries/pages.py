"""What the pages of profiles show beyond the shapes of REST: names, sentences, both sides of a merge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from cdp.core.access import Principal, show
from profiles.models import AbsorbedId, Identifier, Merge, Profile, Refusal

UNNAMED = "Unnamed"


def display_name(shown: Mapping[str, Any]) -> str:
    """Return what to call a profile that was shaped for showing (so already masked where it must be)."""
    traits = shown["traits"]
    for names in (("name",), ("firstName", "lastName"), ("first_name", "last_name")):
        parts = [str(traits[name]["value"]) for name in names if name in traits and traits[name]["value"]]
        if parts:
            return " ".join(parts)
    for identifier in shown["identifiers"]:
        if identifier["type"] in {"email", "user_id"}:
            return str(identifier["value"])
    return str(shown["identifiers"][0]["value"]) if shown["identifiers"] else UNNAMED


def name_profile(profile: Profile, *, principal: Principal) -> str:
    """Return what to call a profile by its traits alone, masked where it must be; without a name, by its id."""
    traits = {name: {"value": show(principal, value)} for name, value in profile.traits.items()}
    name = display_name({"traits": traits, "identifiers": []})
    return name if name != UNNAMED else f"Profile {str(profile.uuid)[:8]}"


@dataclass(frozen=True, slots=True)
class MergeSentence:
    """A merge told in English, with the ids of both sides."""

    merge: Merge
    text: str

    @property
    def can_be_undone(self) -> bool:
        """Tell whether undoing is still possible."""
        return self.merge.undone_at is None and self.merge.state == Merge.State.DONE


def tell_merge(merge: Merge) -> MergeSentence:
    """Return why two profiles became one."""
    rule = merge.rule.strip()
    because = {
        Merge.Kind.RULE: f"{_article(rule)} message carried identifiers of both" if rule else "a message named both",
        Merge.Kind.ALIAS: "an alias call from a secret key said that they are the same person",
        Merge.Kind.STEWARD: f"a steward declared them the same: “{rule}”"
        if rule
        else "a steward declared them the same",
        Merge.Kind.MODEL: "the matching model found them to be the same",
        Merge.Kind.IMPORT: "an import named both",
    }[Merge.Kind(merge.kind)]
    sure = f" (probability {merge.score:.3f})" if merge.score is not None else ""
    ending = "." if merge.undone_at is None else "; undone since."
    return MergeSentence(merge, f"Joined because {because}{sure}{ending}")


def _article(rule: str) -> str:
    return f"an {rule}" if rule[:1] in "aeiou" else f"a {rule}"


def tell_refusal(refusal: Refusal) -> str:
    """Return why something was not joined, in English, without the value itself."""
    kind = refusal.identifier_type.replace("_", " ")
    limited = refusal.reason.removesuffix(" limit")
    if limited != refusal.reason:
        many = limited.replace("_", " ")
        return f"The {kind} was left out: joining would give one person more {many} values than allowed."
    if refusal.reason == "blocked edge":
        return f"The {kind} was left out: an undo or a split had declared that the two are not one person."
    return f"The {kind} was left out: {refusal.reason.replace('_', ' ')}."


@dataclass(frozen=True, slots=True)
class MergeSides:
    """What an undo would give each side: identifiers by side, and when the absorbed profile began."""

    staying: list[Identifier]
    leaving: list[Identifier]


def find_sides(*, merge: Merge) -> MergeSides | None:
    """Return the identifiers that stay and those that leave when a merge is undone; None if a side is gone.

    Notes
    -----
    An identifier that came after the merge is shown as staying; the undo itself follows the links it came with.
    """
    absorbed = AbsorbedId.objects.filter(uuid=merge.absorbed_uuid).first()
    if absorbed is None:
        return None
    held = list(
        Identifier.objects.filter(profile_id=absorbed.profile_id)
        .select_related("type")
        .order_by("type__priority", "id")
    )
    leaving = set(merge.absorbed_identifier_ids)
    return MergeSides(
        staying=[one for one in held if one.pk not in leaving], leaving=[one for one in held if one.pk in leaving]
    )


def find_event_names(*, profile_ids: Sequence[int], limit: int = 50) -> list[str]:
    """Return the names of a profile's events, for the filter of its timeline (from the newest 2 000 events)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT name FROM (SELECT name FROM profiles_event WHERE profile_id = ANY(%s::bigint[]) "
            "LIMIT 2000) AS part WHERE name <> '' ORDER BY name LIMIT %s",
            [list(profile_ids), limit],
        )
        return [row[0] for row in cursor.fetchall()]


def list_by_ids(*, profile_ids: Sequence[int]) -> list[Profile]:
    """Return profiles in the order of the ids given."""
    found = Profile.objects.in_bulk(list(profile_ids))
    return [found[one] for one in profile_ids if one in found]
