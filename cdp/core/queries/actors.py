"""Who acted earlier, with the rights that they have at this moment."""

from collections.abc import Iterable
from datetime import datetime

from cdp.core.access import Principal, expand_scopes
from cdp.core.models import ApiKey, User
from cdp.core.queries.accounts import scopes_of


def find_principal(*, actor: str, now: datetime) -> Principal | None:
    """Return the person or key behind an actor of the audit trail; None if they may no longer do anything.

    Parameters
    ----------
    actor : str
        ``user:ID`` or ``key:NAME``.
    now : datetime
        Keys expire against it.
    """
    kind, _, name = actor.partition(":")
    if kind == "user":
        user = User.objects.filter(pk=name, is_active=True).first() if name.isdigit() else None
        return Principal(actor=actor, scopes=scopes_of(user=user), user_id=user.pk) if user is not None else None
    key = ApiKey.objects.filter(name=name, revoked_at__isnull=True).first() if kind == "key" else None
    if key is None or (key.expires_at is not None and key.expires_at <= now):
        return None
    return Principal(actor=actor, scopes=expand_scopes(key.scopes))


def name_actors(*, actors: Iterable[str]) -> dict[str, str]:
    """Return how pages call those who act: people by name, in one statement; keys by theirs.

    Whoever is no longer known keeps the name that the audit trail has.
    """
    wanted = set(actors)
    ids = [int(text) for actor in wanted if (text := actor.removeprefix("user:")) != actor and text.isdecimal()]
    people = {f"user:{user.pk}": user.get_full_name() for user in User.objects.filter(pk__in=ids)} if ids else {}
    return {
        actor: people.get(actor) or (f"key {actor.removeprefix('key:')}" if actor.startswith("key:") else actor)
        for actor in wanted
    }
