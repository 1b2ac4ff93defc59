"""Which traits are stored encrypted, by REST."""

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.principal import principal_of
from profiles.queries.sealed import list_sealed
from profiles.sealed_models import SealedTrait
from profiles.services.sealing_stored import open_trait, seal_trait


class SealedTraitSchema(serializers.Serializer):
    """A trait that is stored encrypted; `opening`: it is being decrypted for good."""

    name = serializers.CharField()
    since = serializers.DateTimeField()
    by = serializers.CharField()
    opening = serializers.BooleanField()


class SealedTraitsAnswer(serializers.Serializer):
    """All of them, by name."""

    results = SealedTraitSchema(many=True)


def present_sealed(row: SealedTrait) -> dict[str, object]:
    """Return one as REST shows it."""
    return {"name": row.name, "since": row.sealed_at, "by": row.sealed_by, "opening": row.opened_at is not None}


class EncryptedTraits(APIView):
    """Lists the traits that are stored encrypted under keys of the person."""

    scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="traits_encrypted", responses=SealedTraitsAnswer)
    def get(self, _request: Request) -> Response:
        """Answer all, by name."""
        return Response({"results": [present_sealed(row) for row in list_sealed()]})


class OneEncryptedTrait(APIView):
    """Decides whether a trait is stored encrypted. What is stored already follows by a job."""

    scopes = {"PUT": "privacy:write", "DELETE": "privacy:write"}

    @extend_schema(operation_id="traits_encrypt", request=None, responses=SealedTraitSchema)
    def put(self, request: Request, name: str) -> Response:
        """Store it encrypted from now on. Conditions can then only ask whether it exists."""
        seal_trait(name=name, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_sealed(SealedTrait.objects.get(pk=name)))

    @extend_schema(operation_id="traits_decrypt", request=None, responses={204: OpenApiResponse(description="Done.")})
    def delete(self, request: Request, name: str) -> Response:
        """Store it in the clear again; nothing happens to a trait that is not encrypted."""
        open_trait(name=name, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
