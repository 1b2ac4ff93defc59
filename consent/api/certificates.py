"""The proof of an erasure by REST: certificate, progress, recipients, legal holds and what they withhold."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import need
from cdp.core.api.principal import principal_of
from cdp.core.errors import NotFound
from consent.api import fields
from consent.proof_models import ErasureProof, LegalHold, RecipientAddress
from consent.queries.duties import list_addresses, list_holds
from consent.queries.requests import get_request
from consent.services.certificates import make_certificate
from consent.services.recipient_states import present_recipients
from consent.services.recipients import NOT_TOLD, NewAddress, Told, mark_told, present_address, save_address
from consent.services.withholding import count_withheld, end_hold, read_withheld, save_hold


class CertificateSchema(serializers.Serializer):
    """A certificate, for OpenAPI."""

    type = serializers.CharField()
    version = serializers.IntegerField()
    request_id = serializers.UUIDField()
    clean_at = serializers.DateTimeField()
    status = serializers.CharField()
    completed_at = serializers.DateTimeField(allow_null=True)
    stores = serializers.ListField(child=serializers.DictField())
    withheld = serializers.ListField(child=serializers.DictField())
    recipients = serializers.ListField(child=serializers.DictField())
    search = serializers.DictField()
    database_files = serializers.DictField()
    backups = serializers.DictField()
    proof = serializers.DictField()


class ProofSchema(serializers.Serializer):
    """How far an erasure is, for OpenAPI."""

    status = serializers.CharField()
    stage = serializers.CharField()
    stores = serializers.DictField()
    control = serializers.DictField(allow_null=True)
    names = serializers.IntegerField()
    forms = serializers.IntegerField()
    encodings = serializers.ListField(child=serializers.CharField())
    looked_at = serializers.DictField()
    found = serializers.DictField()
    withheld = serializers.ListField(child=serializers.DictField())
    recipients = serializers.ListField(child=serializers.DictField())
    searched_at = serializers.DateTimeField(allow_null=True)


class ToldRecipient(fields.StrictSerializer):
    """Which recipient an officer told, or why it is not told."""

    recipient = serializers.CharField(max_length=200)
    destination = serializers.CharField(max_length=64, allow_blank=True, required=False)
    not_told_because = serializers.ChoiceField(choices=NOT_TOLD, required=False)


class NewLegalHold(fields.StrictSerializer):
    """A legal hold as it is sent."""

    key = serializers.SlugField(max_length=64)
    name = serializers.CharField(max_length=200)
    legal_basis = serializers.CharField(max_length=200)
    event_names = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=100)
    keep_days = serializers.IntegerField(min_value=1, max_value=36500)
    enabled = serializers.BooleanField(required=False)


class LegalHoldsSchema(serializers.Serializer):
    """All legal holds, for OpenAPI."""

    results = NewLegalHold(many=True)


class NewRecipientAddress(fields.StrictSerializer):
    """Where a recipient is told, and how."""

    recipient = serializers.CharField(max_length=200)
    url = serializers.URLField(max_length=500)
    protocol = serializers.ChoiceField(choices=RecipientAddress.Protocol.choices, required=False)
    domain = serializers.CharField(max_length=253, required=False)
    authorization = serializers.CharField(max_length=2000, required=False, write_only=True)


class RecipientAddressSchema(NewRecipientAddress):
    """An address, for OpenAPI; the secret is shown to whoever may write."""

    secret = serializers.CharField(required=False)


class RecipientAddressesSchema(serializers.Serializer):
    """All addresses, for OpenAPI."""

    results = RecipientAddressSchema(many=True)


class WithheldSchema(serializers.Serializer):
    """What an erasure withheld, for OpenAPI."""

    results = serializers.ListField(child=serializers.DictField())


class Certificate(APIView):
    """Gives the signed certificate of an erasure."""

    scopes = {"GET": "privacy:read"}

    @extend_schema(operation_id="privacy_requests_certificate", responses=CertificateSchema)
    def get(self, request: Request, request_id: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the certificate; 409 unless the search found nothing."""
        return Response(make_certificate(request_id=str(request_id)))


class Proof(APIView):
    """Tells how far an erasure is and what its search has found."""

    scopes = {"GET": "privacy:read"}

    @extend_schema(operation_id="privacy_requests_proof", responses=ProofSchema)
    def get(self, request: Request, request_id: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer stage, counts and search."""
        found = get_request(request_id=str(request_id))
        row = ErasureProof.objects.filter(request_id=found.id).first()
        if row is None:
            message = "This request has no proof: it is no erasure, or it has not begun."
            raise NotFound(message)
        return Response(
            {
                "status": found.status,
                "stage": row.stage,
                "stores": row.stores,
                "control": row.control,
                "names": row.needles,
                "forms": row.forms,
                "encodings": row.encodings,
                "looked_at": row.looked,
                "found": row.found,
                "withheld": count_withheld(request_id=str(found.id)),
                "recipients": present_recipients(request_id=str(found.id)),
                "searched_at": row.searched_at,
            }
        )


class Withheld(APIView):
    """Reads the rows that an erasure had to keep."""

    scopes = {"GET": "privacy:read"}

    @extend_schema(operation_id="privacy_requests_withheld", responses=WithheldSchema)
    def get(self, request: Request, request_id: str) -> Response:
        """Answer the rows in the clear; the audit trail says who looked."""
        principal = principal_of(request)
        need(principal, "personal_data:read")
        found = get_request(request_id=str(request_id))
        rows = read_withheld(request_id=str(found.id), actor=principal.actor, now=timezone.now())
        return Response({"results": rows})


class TellRecipient(APIView):
    """Notes that a recipient was told by other means."""

    scopes = {"POST": "privacy:write"}

    @extend_schema(operation_id="privacy_requests_told", request=ToldRecipient, responses={204: None})
    def post(self, request: Request, request_id: str) -> Response:
        """Mark the recipient as told, or write down why it is not."""
        given = fields.read_input(ToldRecipient, request.data)
        found = get_request(request_id=str(request_id))
        mark_told(
            request_id=str(found.id),
            told=Told(given["recipient"], given.get("destination"), given.get("not_told_because", "")),
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class LegalHolds(APIView):
    """Lists legal holds, and makes or changes one."""

    scope_resource = "privacy"

    @extend_schema(operation_id="legal_holds_list", responses=LegalHoldsSchema)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer all of them."""
        return Response({"results": [_present_hold(row) for row in list_holds()]})

    @extend_schema(operation_id="legal_holds_save", request=NewLegalHold, responses={201: NewLegalHold})
    def post(self, request: Request) -> Response:
        """Save one; the same key again changes it."""
        given = dict(fields.read_input(NewLegalHold, request.data))
        row = save_hold(key=given.pop("key"), fields=given, actor=principal_of(request).actor, now=timezone.now())
        return Response(_present_hold(row), status=status.HTTP_201_CREATED)


class OneLegalHold(APIView):
    """Ends a legal hold."""

    scopes = {"DELETE": "privacy:write"}

    @extend_schema(operation_id="legal_holds_end", responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Delete it with every row that was kept for it."""
        end_hold(key=key, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class Recipients(APIView):
    """Lists where recipients are told of erasures, and sets one."""

    scope_resource = "privacy"

    @extend_schema(operation_id="recipient_addresses_list", responses=RecipientAddressesSchema)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer all of them, without secrets."""
        rows = list_addresses()
        return Response({"results": [present_address(row, with_secret=False) for row in rows]})

    @extend_schema(
        operation_id="recipient_addresses_save",
        request=NewRecipientAddress,
        responses={201: RecipientAddressSchema},
    )
    def post(self, request: Request) -> Response:
        """Save one and answer it with the secret that notices are signed with."""
        given = fields.read_input(NewRecipientAddress, request.data)
        row = save_address(new=NewAddress(**given), actor=principal_of(request).actor, now=timezone.now())
        return Response(present_address(row, with_secret=True), status=status.HTTP_201_CREATED)


def _present_hold(row: LegalHold) -> dict[str, Any]:
    return {
        "key": row.key,
        "name": row.name,
        "legal_basis": row.legal_basis,
        "event_names": row.event_names,
        "keep_days": row.keep_days,
        "enabled": row.enabled,
    }
