"""What the pages of profiles show beyond the shapes of REST: names, sentences, both sides of a merge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.formats import date_format

from cdp.core.access import Principal, show
from profiles.models import Edge, Merge, Profile, Refusal
from profiles.queries.graph import Evidence, find_links

UNNAMED = "Unnamed"
HOW = {"identify": "at login", "track": "in a track event", "page": "on a page view", "screen": "on a screen view"}
SPOKEN = {"email": "e-mail", "phone": "phone number"}


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


def tell_merges(merges: Sequence[Merge], *, sources: Mapping[int, str]) -> list[MergeSentence]:
    """Return why profiles became one, merge by merge, from the edges that joined them."""
    links = find_links(merges=merges)
    return [tell_merge(merge, link=links.get(merge.pk), sources=sources) for merge in merges]


def tell_link(link: Evidence, *, sources: Mapping[int, str]) -> str:
    """Return in English what linked two identifiers: what was given with what, how, when and by which source."""
    day = date_format(timezone.localtime(link.created_at), "j F Y")
    source = sources.get(link.source_id, "")
    by = f" by {source}" if source else ""
    if link.kind == Merge.Kind.STEWARD:
        return f"a steward said so on {day}"
    if link.kind == Merge.Kind.ALIAS:
        return f"an alias call on {day}{by} said that both are the same person"
    if link.kind == Merge.Kind.MODEL:
        return f"{_by_model(link.rule)} on {day}"
    how = "in an import" if link.rule == "import" else HOW.get(link.rule, f"in {_article(link.rule)} message")
    if link.rule == "identify" and link.stronger != "user_id":
        how = "in an identify message"
    weaker, stronger = _spoken(link.weaker), _spoken(link.stronger)
    if weaker == stronger:
        return f"two values of {weaker} were given together {how} on {day}{by}"
    return f"the same {weaker} was given with the {stronger} {how} on {day}{by}"


def tell_block(edge: Edge) -> str:
    """Return in English why two profiles are kept apart, or an edge is blocked, without the reason that was given."""
    by = {
        "undo": "a merge was undone",
        "split": "identifiers were split off",
        "edge": "the link was blocked",
        "different": "the two profiles were declared to be different people",
    }.get(edge.blocked_for, "it was taken back")
    return by


def _spoken(type_key: str) -> str:
    return SPOKEN.get(type_key, type_key.replace("_", " ").replace(".", " "))


def tell_merge(
    merge: Merge, *, link: Evidence | None = None, sources: Mapping[int, str] | None = None
) -> MergeSentence:
    """Return why two profiles became one."""
    rule = merge.rule.strip()
    told = tell_link(link, sources=sources or {}) if link is not None else ""
    because = {
        Merge.Kind.RULE: told or _because_of(rule),
        Merge.Kind.ALIAS: "an alias call from a secret key said that they are the same person",
        Merge.Kind.STEWARD: f"a steward declared them the same: “{rule}”"
        if rule
        else "a steward declared them the same",
        Merge.Kind.MODEL: _by_model(rule),
        Merge.Kind.IMPORT: told or "an import named both",
    }[Merge.Kind(merge.kind)]
    sure = f" (probability {_likely(merge.score)})" if merge.score is not None else ""
    ending = "." if merge.undone_at is None else "; undone since."
    return MergeSentence(merge, f"Joined because {because}{sure}{ending}")


def _by_model(rule: str) -> str:
    """Tell what a run joined from what somebody decided: a run names the version that it matched with."""
    key, _, version = rule.removeprefix("model ").partition(" v")
    if version:
        return f"version {version} of the matching model {key} found them to be the same"
    return f"somebody decided so about a possible duplicate of the matching model {key}"


def _likely(probability: float) -> str:
    # No model is certain.
    return "more than 0.999" if probability > 0.999 else f"{probability:.3f}"


def _because_of(rule: str) -> str:
    if rule.startswith("rules version"):
        return f"the identity rules allow since {rule.removeprefix('rules ')} what had been refused"
    if rule == "quarantine lifted":
        return "a value that both had asserted was lifted from quarantine"
    return f"{_article(rule)} message carried identifiers of both" if rule else "a message named both"


def _article(rule: str) -> str:
    return f"an {rule}" if rule[:1] in "aeiou" else f"a {rule}"


def tell_refusal(refusal: Refusal) -> str:
    """Return why something was not joined, in English, without the value itself."""
    kind = refusal.identifier_type.replace("_", " ")
    if refusal.reason.endswith(" sharing limit"):
        return f"The {kind} is quarantined: more accounts or records asserted it than may share one."
    if refusal.reason.endswith(" is blocked"):
        return f"The {kind} joins nothing any more: a rule blocks its value."
    limited = refusal.reason.removesuffix(" limit")
    if limited != refusal.reason:
        many = limited.replace("_", " ")
        if refusal.value_limit is None:
            return f"The {kind} was left out: joining would give one person more {many} values than allowed."
        allowed = f"{refusal.value_limit} {'value' if refusal.value_limit == 1 else 'values'} of {many}"
        return f"The {kind} was left out: joining would give one person more than {allowed}."
    if refusal.reason == "declared different":
        return f"The {kind} was left out: somebody declared that the two profiles are different people."
    if refusal.reason == "blocked edge":
        return f"The {kind} was left out: an undo or a split had declared that the two are not one person."
    return f"The {kind} was left out: {refusal.reason.replace('_', ' ')}."


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
