"""The shell's lists of people, invitations and acts. Each change calls one service."""

from typing import Any

from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminSelectWidget,
)

from cdp.core.access import ADMINISTRATOR, ROLE_NAMES
from cdp.core.api.principal import principal_of
from cdp.core.models import AuditEntry, Invitation, Job, User
from cdp.core.queries.accounts import roles_of
from cdp.core.reauthentication import need_recent_authentication
from cdp.core.services.accounts import change_user, delete_user
from cdp.core.services.invitations import invite
from cdp.core.services.sign_in import end_all_sessions, remove_second_factors

NO_ROLE = ""
ADMINISTRATOR_NAME = ROLE_NAMES[ADMINISTRATOR]
ROLE_CHOICES = list(ROLE_NAMES.items())

# The roles are fixed (cdp.core.access); groups that are no roles would give no scopes.
admin.site.unregister(Group)
# What django-allauth lists has pages of its own, or is not used.
for unlisted in (EmailAddress, EmailConfirmation, SocialApp, SocialAccount, SocialToken, Authenticator, UserSession):
    if admin.site.is_registered(unlisted):
        admin.site.unregister(unlisted)


class GuardedAdmin(ModelAdmin):
    """A list whose objects are unknown to whoever may not see them.

    Django looks an object up before it asks for the right, and so answers otherwise where there is none.
    """

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Ask for the right first."""
        self._need_right(request)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Ask for the right first."""
        self._need_right(request)
        return super().delete_view(request, object_id, extra_context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Ask for the right first."""
        self._need_right(request)
        return super().history_view(request, object_id, extra_context)

    def _need_right(self, request: HttpRequest) -> None:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied


class UserForm(forms.ModelForm):
    """What an administrator may change of a person."""

    role = forms.ChoiceField(
        choices=[(NO_ROLE, "No access"), *ROLE_CHOICES], required=False, widget=UnfoldAdminSelectWidget
    )

    class Meta:
        model = User
        fields = ["name", "role", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.fields["role"].initial = next(iter(roles_of(user=self.instance)), NO_ROLE)


@admin.register(User)
class UserAdmin(GuardedAdmin):
    """People. They come in by invitation."""

    form = UserForm
    list_display = ["email", "name", "role", "is_active", "last_login"]
    list_filter = ["is_active"]
    search_fields = ["email", "name"]
    ordering = ["email", "id"]
    readonly_fields = ["email", "last_login", "created_at"]
    fields = ["email", "name", "role", "is_active", "last_login", "created_at"]
    actions = ["sign_out", "remove_factors"]

    @admin.display(description="role")
    def role(self, user: User) -> str:
        """Return the roles; the groups come with the list's query."""
        names = [ADMINISTRATOR_NAME] if user.is_superuser else []
        names += [ROLE_NAMES[group.name] for group in user.groups.all() if group.name in ROLE_NAMES]
        return ", ".join(names) or "No access"

    @admin.action(description="Sign out everywhere", permissions=["change"])
    def sign_out(self, request: HttpRequest, people: QuerySet[User]) -> None:
        """End every session of the selected people."""
        actor = principal_of(request).actor
        ended = sum(end_all_sessions(user_id=user.pk, actor=actor, now=timezone.now()) for user in people)
        messages.success(request, f"Sessions ended: {ended}.")

    @admin.action(description="Remove second factors (lost phone or key)", permissions=["change"])
    def remove_factors(self, request: HttpRequest, people: QuerySet[User]) -> None:
        """Take away what was lost; the people sign in by password and set up new ones."""
        need_recent_authentication(request)
        actor = principal_of(request).actor
        for user in people:
            remove_second_factors(user_id=user.pk, actor=actor, now=timezone.now())
        messages.success(request, "The second factors are removed, and the people signed out.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Read the roles of all rows with one query."""
        return super().get_queryset(request).prefetch_related("groups")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """People are invited, not made."""
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: ARG002
        """Change the person."""
        change_user(
            user_id=obj.pk,
            name=form.cleaned_data["name"],
            role=form.cleaned_data["role"] or None,
            is_active=form.cleaned_data["is_active"],
            actor=principal_of(request).actor,
            now=timezone.now(),
        )

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Remove the person."""
        delete_user(user_id=obj.pk, actor=principal_of(request).actor, now=timezone.now())


class InvitationForm(forms.ModelForm):
    """Whom to invite, as what."""

    role = forms.ChoiceField(choices=ROLE_CHOICES, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Invitation
        fields = ["email", "role"]
        widgets = {"email": UnfoldAdminEmailInputWidget}


@admin.register(Invitation)
class InvitationAdmin(GuardedAdmin):
    """Invitations that are open; adding one sends the mail, deleting one makes the link useless."""

    form = InvitationForm
    list_display = ["email", "role", "created_at", "expires_at"]
    ordering = ["-created_at", "id"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """An invitation is replaced by a new one, never changed."""
        return False

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:  # noqa: ARG002
        """Invite."""
        made = invite(email=obj.email, role=obj.role, actor=principal_of(request).actor, now=timezone.now())
        _take_over(obj, made)


class ReadOnlyAdmin(GuardedAdmin):
    """A list that is only read."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Never."""
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what."""

    list_display = ["at", "actor", "action", "object", "seq"]
    list_filter = ["action"]
    search_fields = ["actor__exact", "object__exact", "action__exact"]
    search_help_text = "An actor (user:1, key:NAME), an action or an object, in full"
    ordering = ["-id"]
    # Counting the whole trail for "5 of 1 203 441" would read all of it.
    show_full_result_count = False


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Work in steps, and what was given up."""

    list_display = ["kind", "status", "attempts", "error", "run_at", "finished_at"]
    list_filter = ["status", "kind"]
    ordering = ["-id"]


def _take_over(obj: Model, made: Model) -> None:
    """Let the admin site go on with the row that the service made."""
    for field in made._meta.concrete_fields:
        setattr(obj, field.attname, getattr(made, field.attname))
    obj._state.adding = False
