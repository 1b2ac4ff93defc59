"""What goes out about consent, by REST: receipts, webhooks, and who answers for the data."""

from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from cdp.core.services.audit import note_read
from consent.api.fields import KeyField, StrictSerializer, TextList, page_of, read_input
from consent.organisation_models import Organisation
from consent.queries.organisation import read_organisation
from consent.queries.webhooks import get_webhook, list_webhooks
from consent.services.organisation import FIELDS, change_organisation
from consent.services.receipts import issue_receipt
from consent.services.webhooks import change_webhook, create_webhook, delete_webhook, read_secret
from consent.webhook_models import ConsentWebhook
from profiles.queries.people import get_by_uuid


class OrganisationInput(StrictSerializer):
    """The controller, as receipts name it."""

    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    address = serializers.CharField(max_length=1000, required=False, allow_blank=True)
    contact = serializers.CharField(max_length=200, required=False, allow_blank=True)
    email = serializers.EmailField(required=False, allow_blank=True)
    phone = serializers.CharField(max_length=50, required=False, allow_blank=True)
    jurisdiction = serializers.CharField(max_length=100, required=False, allow_blank=True)
    authority = serializers.CharField(max_length=200, required=False, allow_blank=True)
    storage_locations = TextList(required=False)
    notice_url = serializers.URLField(max_length=500, required=False, allow_blank=True)


class OrganisationSchema(OrganisationInput):
    """The controller."""

    changed_at = serializers.DateTimeField(allow_null=True)


class NewWebhookInput(StrictSerializer):
    """A webhook; `purposes` empty: all."""

    url = serializers.URLField(max_length=500)
    purposes = serializers.ListField(child=KeyField(), max_length=100, required=False)


class WebhookInput(StrictSerializer):
    """What can be changed."""

    url = serializers.URLField(max_length=500, required=False)
    purposes = serializers.ListField(child=KeyField(), max_length=100, required=False)
    enabled = serializers.BooleanField(required=False)


class WebhookSchema(serializers.Serializer):
    """A webhook and how it does."""

    id = serializers.CharField()
    url = serializers.CharField()
    purposes = serializers.ListField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    waiting = serializers.IntegerField()
    problem = serializers.CharField()
    retry_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class NewWebhookSchema(WebhookSchema):
    """A new webhook, with the secret that it is signed with."""

    secret = serializers.CharField()


class OneOrganisation(APIView):
    """Reads and writes who answers for the data."""

    scope_resource = "consents"

    @extend_schema(operation_id="organisation_read", responses=OrganisationSchema)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the organisation."""
        return Response(present_organisation(read_organisation()))

    @extend_schema(operation_id="organisation_change", request=OrganisationInput, responses=OrganisationSchema)
    def patch(self, request: Request) -> Response:
        """Change what is given."""
        given = read_input(OrganisationInput, request.data, partial=True)
        row = change_organisation(fields=given, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_organisation(row))


class ConsentReceipt(APIView):
    """Issues a receipt."""

    scopes = {"GET": "consents:read"}

    @extend_schema(operation_id="profiles_consent_receipt", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer a signed receipt of everything that the person decided (ISO/IEC TS 27560)."""
        person = get_by_uuid(public_id=profile_id)
        note_read(actor=principal_of(request).actor, object=f"profile:{person.uuid}")
        withdrawal = f"preference centre by link from {settings.CDP_BASE_URL}"
        found = issue_receipt(
            profile_id=person.profile_id, public_id=person.uuid, withdrawal=withdrawal, now=timezone.now()
        )
        return Response(found)


class ConsentWebhooks(APIView):
    """Lists webhooks, and makes one."""

    scope_resource = "consents"

    @extend_schema(
        operation_id="consent_webhooks_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=page_of(WebhookSchema, "ConsentWebhookPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        return paginate(request, fetch=fetch_from(list_webhooks(), "-id"), key=key_from("id"), present=present_webhook)

    @extend_schema(operation_id="consent_webhooks_create", request=NewWebhookInput, responses={201: NewWebhookSchema})
    def post(self, request: Request) -> Response:
        """Make a webhook; its secret is answered once."""
        given = read_input(NewWebhookInput, request.data)
        made = create_webhook(
            url=given["url"],
            purposes=given.get("purposes", []),
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        found = present_webhook(get_webhook(webhook_id=made.pk))
        return Response({**found, "secret": read_secret(made)}, status=status.HTTP_201_CREATED)


class OneConsentWebhook(APIView):
    """Reads, changes and deletes a webhook."""

    scope_resource = "consents"

    @extend_schema(operation_id="consent_webhooks_read", responses=WebhookSchema)
    def get(self, request: Request, webhook_id: int) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the webhook."""
        return Response(present_webhook(get_webhook(webhook_id=webhook_id)))

    @extend_schema(operation_id="consent_webhooks_change", request=WebhookInput, responses=WebhookSchema)
    def patch(self, request: Request, webhook_id: int) -> Response:
        """Change what is given; switched off, it forgets what it has not been told."""
        given = read_input(WebhookInput, request.data, partial=True)
        change_webhook(webhook_id=webhook_id, fields=given, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_webhook(get_webhook(webhook_id=webhook_id)))

    @extend_schema(operation_id="consent_webhooks_delete", responses={204: None})
    def delete(self, request: Request, webhook_id: int) -> Response:
        """Delete the webhook."""
        delete_webhook(webhook_id=webhook_id, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


def present_organisation(row: Organisation) -> dict[str, Any]:
    """Return the organisation."""
    return {**{name: getattr(row, name) for name in FIELDS}, "changed_at": row.changed_at}


def present_webhook(row: ConsentWebhook) -> dict[str, Any]:
    """Return a webhook of `list_webhooks`."""
    return {
        "id": str(row.pk),
        "url": row.url,
        "purposes": row.purposes,
        "enabled": row.enabled,
        "waiting": row.waiting,  # type: ignore[attr-defined]
        "problem": row.problem,
        "retry_at": row.retry_at,
        "delivered_at": row.delivered_at,
        "created_at": row.created_at,
    }
