"""People who sign in: their roles, how they come in, and who is the first."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q

from cdp.core.access import ADMINISTRATOR, RESOURCES, ROLE_SCOPES
from cdp.core.errors import Conflict, FieldError, InvalidInput, NotFound
from cdp.core.models import User
from cdp.core.queries.accounts import has_administrator, roles_of
from cdp.core.services import audit

PASSWORD_BYTES = 12
DEFAULT_EMAIL = "admin@example.com"

# Whose tables belong to which resources; the rights on an app need the scope on all of its resources.
APP_RESOURCES = {
    "ingestion": ("sources",),
    "profiles": ("profiles", "identity"),
    "segments": ("segments",),
    "consent": ("consents", "privacy", "suppressions"),
}
READING = ("view",)
WRITING = ("add", "change", "delete")


class UnknownRole(InvalidInput):
    """A role has a name that this product does not know."""

    code = "account.unknown_role"


class EmailTaken(Conflict):
    """Somebody with this e-mail exists."""

    code = "account.email_taken"


class WeakPassword(InvalidInput):
    """The password is too easy to guess."""

    code = "account.weak_password"


class BadEmail(InvalidInput):
    """The e-mail is not an address."""

    code = "account.bad_email"


class LastAdministrator(Conflict):
    """Without this person nobody could administer the installation."""

    code = "account.last_administrator"


@dataclass(frozen=True, slots=True)
class FirstAdministrator:
    """The first administrator, with the password that is shown once."""

    email: str
    password: str


def ensure_roles() -> None:
    """Make the groups of the four roles with the rights of this version. Repeating changes nothing."""
    for config in apps.get_app_configs():
        create_permissions(config, verbosity=0)
    with transaction.atomic():
        for role in ROLE_SCOPES:
            group, _ = Group.objects.get_or_create(name=role)
            group.permissions.set(_permissions_of(role))


def _permissions_of(role: str) -> list[Permission]:
    if role == ADMINISTRATOR:
        return list(Permission.objects.all())
    scopes = ROLE_SCOPES[role]
    wanted = Q(pk__in=[])
    for app, resources in APP_RESOURCES.items():
        for ending, actions in (("read", READING), ("write", WRITING)):
            if all(f"{resource}:{ending}" in scopes for resource in resources):
                for action in actions:
                    wanted |= Q(content_type__app_label=app, codename__startswith=f"{action}_")
    if f"{RESOURCES[-1]}:read" in scopes:
        wanted |= Q(content_type__app_label="core", codename="view_auditentry")
    return list(Permission.objects.filter(wanted))


def create_user(*, email: str, role: str, password: str | None, actor: str, now: datetime, name: str = "") -> User:
    """Make a person who can sign in.

    Parameters
    ----------
    email : str
        Their address, in any case.
    role : str
        One of the four roles.
    password : str or None
        Taken as it is: whoever runs the command decides. None: nobody can sign in as them yet.

    Raises
    ------
    UnknownRole, BadEmail, EmailTaken
        If the input is not usable.
    """
    check_role(role)
    address = check_email(email)
    with transaction.atomic():
        if User.objects.filter(email=address).exists():
            message = "Somebody with this e-mail exists already."
            raise EmailTaken(message)
        user = User.objects.create_user(address, password, name=name)
        user.groups.add(_group(role))
        audit.record(actor=actor, action="user.created", object=f"user:{user.pk}", detail={"role": role}, now=now)
    return user


def ensure_administrator(*, email: str | None, password: str | None, now: datetime) -> FirstAdministrator | None:
    """Make the first administrator if there is none, and return what they sign in with.

    Parameters
    ----------
    email, password : str or None
        What the environment says; None: an address to be changed later, a random password.
    """
    ensure_roles()
    if has_administrator():
        return None
    address = check_email(email or DEFAULT_EMAIL)
    chosen = password or secrets.token_urlsafe(PASSWORD_BYTES)
    with transaction.atomic():
        user = User.objects.filter(email=address).first()
        if user is None:
            create_user(email=address, role=ADMINISTRATOR, password=chosen, actor="system", now=now)
        else:
            user.is_active = True
            user.set_password(chosen)
            user.save(update_fields=["is_active", "password"])
            user.groups.set([_group(ADMINISTRATOR)])
            audit.record(
                actor="system",
                action="user.changed",
                object=f"user:{user.pk}",
                detail={"role": ADMINISTRATOR},
                now=now,
            )
    return FirstAdministrator(email=address, password=chosen)


def change_user(*, user_id: int, name: str, role: str | None, is_active: bool, actor: str, now: datetime) -> None:
    """Change what a person is called, may do, and whether they may sign in; in force with their next request.

    Parameters
    ----------
    role : str or None
        None takes every role away.

    Raises
    ------
    LastAdministrator
        If nobody else could administer the installation.
    """
    if role is not None:
        check_role(role)
    with transaction.atomic():
        user = _lock_user(user_id)
        before = roles_of(user=user)
        if not is_active or role != ADMINISTRATOR:
            _check_not_last(user)
        user.name, user.is_active, user.is_superuser = name, is_active, False
        user.save(update_fields=["name", "is_active", "is_superuser"])
        user.groups.set([_group(role)] if role is not None else [])
        audit.record(
            actor=actor,
            action="user.changed",
            object=f"user:{user_id}",
            detail={"roles_before": before, "role": role, "is_active": is_active},
            now=now,
        )


def delete_user(*, user_id: int, actor: str, now: datetime) -> None:
    """Remove a person; the audit trail keeps their number only.

    Raises
    ------
    LastAdministrator
        If nobody else could administer the installation.
    """
    with transaction.atomic():
        user = _lock_user(user_id)
        _check_not_last(user)
        user.delete()
        audit.record(actor=actor, action="user.deleted", object=f"user:{user_id}", now=now)


def check_password(password: str, *, user: User | None = None) -> None:
    """Refuse a password that is too easy to guess.

    Raises
    ------
    WeakPassword
        With one entry per reason.
    """
    try:
        validate_password(password, user)
    except ValidationError as error:
        faults = [FieldError(path="password", code=WeakPassword.code, message=text) for text in error.messages]
        raise WeakPassword(" ".join(error.messages), errors=faults) from error


def check_role(role: str) -> None:
    """Refuse what is not a role.

    Raises
    ------
    UnknownRole
        Naming the roles.
    """
    if role not in ROLE_SCOPES:
        message = f"{role!r} is not a role. Roles are: {', '.join(ROLE_SCOPES)}."
        raise UnknownRole(message)


def check_email(email: str) -> str:
    """Return the address in the form that people are known by.

    Raises
    ------
    BadEmail
        If it is no address.
    """
    address = email.strip().lower()
    try:
        validate_email(address)
    except ValidationError as error:
        message = "This is not an e-mail address."
        raise BadEmail(message) from error
    return address


def _check_not_last(user: User) -> None:
    """Refuse to take away the last administrator; the lock on the group keeps two such requests apart."""
    _ = Group.objects.select_for_update().filter(name=ADMINISTRATOR).first()
    if ADMINISTRATOR not in roles_of(user=user):
        return
    others = User.objects.filter(is_active=True).exclude(pk=user.pk)
    if not others.filter(Q(is_superuser=True) | Q(groups__name=ADMINISTRATOR)).exists():
        message = "This is the last administrator. Make somebody else one first."
        raise LastAdministrator(message)


def _lock_user(user_id: int) -> User:
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        message = "There is no such person."
        raise NotFound(message)
    return user


def _group(role: str) -> Group:
    group, created = Group.objects.get_or_create(name=role)
    if created:
        group.permissions.set(_permissions_of(role))
    return group
