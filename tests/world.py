"""The cast that tests share, so that a name means the same in each of them.

Staff: Ana is a marketer, Ben a compliance officer, Ivo an integrator, Ada an administrator; Cy can sign in and do
nothing. Customers: Dana, Dana again (the same person, unknown as such), Eve who withdrew her consent.
"""

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Group
from django.test import Client
from rest_framework.test import APIClient

from cdp.core.access import ADMINISTRATOR, COMPLIANCE_OFFICER, INTEGRATOR, MARKETER, Principal, expand_scopes
from cdp.core.models import User
from cdp.core.reauthentication import RECORDS
from cdp.core.services.accounts import create_user
from cdp.core.services.api_keys import create_api_key
from cdp.core.sign_in.sessions import SEEN

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
PASSWORD = "correct horse battery staple"

STAFF = {
    "ada": ("ada@house.example", ADMINISTRATOR),
    "ana": ("ana@house.example", MARKETER),
    "ben": ("ben@house.example", COMPLIANCE_OFFICER),
    "ivo": ("ivo@house.example", INTEGRATOR),
    "cy": ("cy@house.example", None),
}


@dataclass(frozen=True)
class Customer:
    """A customer, as sources see one."""

    name: str
    user_id: str
    email: str
    phone: str
    anonymous_id: str


DANA = Customer("Dana Dale", "dana-1", "dana@customer.example", "+4915112345678", "anon-dana-phone")
DANA_AGAIN = Customer("Dana Dale", "dana-2", "d.dale@customer.example", "+4915112345678", "anon-dana-laptop")
EVE = Customer("Eve Early", "eve-1", "eve@customer.example", "+4915187654321", "anon-eve")


def staff(name: str) -> User:
    """Return one of the staff, made at the first call of a test."""
    email, role = STAFF[name]
    found = User.objects.filter(email=email).first()
    if found is not None:
        return found
    if role is not None:
        return create_user(email=email, role=role, password=PASSWORD, actor="system", now=NOW, name=name.capitalize())
    user = User.objects.create_user(email, PASSWORD, name=name.capitalize())
    user.groups.set(Group.objects.none())
    return user


def api(*scopes: str, name: str | None = None, **defaults: Any) -> APIClient:
    """Return a REST client that sends a key of these scopes; `api()` sends none.

    Keys are real: made by the service, found by their digest.
    """
    client = APIClient(raise_request_exception=True, **defaults)
    if scopes:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key_with(*scopes, name=name)}")
    return client


def key_with(*scopes: str, name: str | None = None) -> str:
    """Return the text of a new key."""
    return create_api_key(
        name=name or f"test-{secrets.token_hex(6)}", scopes=scopes, actor="system", now=datetime.now(UTC)
    )


def signed_in(name: str | User, *, minutes_ago: float = 0, **options: Any) -> Client:
    """Return a browser in which one of the staff, or another person, signed in, just now or some minutes ago."""
    client = Client(**options)
    client.force_login(
        staff(name) if isinstance(name, str) else name, backend="django.contrib.auth.backends.ModelBackend"
    )
    session = client.session
    session[RECORDS] = [{"method": "password", "at": time.time() - 60 * minutes_ago}]
    session[SEEN] = time.time()
    session.save()
    return client


def principal(*scopes: str, actor: str = "key:test") -> Principal:
    """Return who calls a service, without a key in the database."""
    return Principal(actor=actor, scopes=expand_scopes(scopes))


def faults(body: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Return path and code of each fault in a problem document."""
    return [(fault["path"], fault["code"]) for fault in body["errors"]]
