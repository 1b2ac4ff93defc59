"""Replays by REST, and processing one quarantined message again."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from ingestion.api import shapes
from ingestion.errors import UnknownMessage
from ingestion.models import Quarantined, Replay
from ingestion.queries.outcomes import find_outcomes
from ingestion.queries.sources import read_source_keys
from ingestion.services.quarantine import rerun_one
from ingestion.services.replays import ACTS, Selection, change_replay, create_replay, get_replay


class NewReplay(shapes.StrictSerializer):
    """What to replay: quarantined messages, or accepted ones of the archive."""

    kind = serializers.ChoiceField(choices=shapes.REPLAY_KINDS)
    source = serializers.CharField(required=False, max_length=64)  # type: ignore[assignment]
    code = serializers.CharField(required=False, max_length=100)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class ReplaySchema(serializers.Serializer):
    """A replay; `expected` is what it counted beforehand, `results` what came of it, by outcome or kind of change."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=shapes.REPLAY_KINDS)
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    code = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    status = serializers.ChoiceField(choices=Replay.Status.values)
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    expected = serializers.DictField(child=serializers.IntegerField())
    results = serializers.DictField(child=serializers.IntegerField())
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


def present_replay(replay: Replay) -> dict[str, Any]:
    """Return a replay in the shape of REST."""
    names = ("kind", "code", "since", "until", "status", "total", "done", "expected", "results", "created_at")
    return {
        "id": str(replay.pk),
        "source": replay.source.key if replay.source is not None else None,
        **{name: getattr(replay, name) for name in names},
        "finished_at": replay.finished_at,
    }


class Replays(APIView):
    """Lists replays, newest first, and makes one."""

    scope_resource = "sources"

    @extend_schema(
        operation_id="replays_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(ReplaySchema, "ReplayPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page."""
        rows = Replay.objects.select_related("source")
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_replay)

    @extend_schema(operation_id="replays_create", request=NewReplay, responses={202: ReplaySchema})
    def post(self, request: Request) -> Response:
        """Make a replay, which first counts what it would do."""
        given = NewReplay(data=request.data)
        given.is_valid(raise_exception=True)
        fields = dict(given.validated_data)
        replay = create_replay(
            kind=fields.pop("kind"),
            selection=Selection(**fields),
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(present_replay(replay), status=status.HTTP_202_ACCEPTED)


class OneReplay(APIView):
    """Reads a replay."""

    scopes = {"GET": "sources:read"}

    @extend_schema(operation_id="replays_read", responses=ReplaySchema)
    def get(self, request: Request, replay_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer it with its progress."""
        return Response(present_replay(get_replay(replay_id=replay_id)))


class ChangeReplay(APIView):
    """Runs, pauses, resumes or cancels a replay."""

    scopes = {"POST": "sources:write"}

    @extend_schema(
        operation_id="replays_change",
        parameters=[OpenApiParameter("act", location=OpenApiParameter.PATH, enum=list(ACTS))],
        request=None,
        responses=ReplaySchema,
    )
    def post(self, request: Request, replay_id: int, act: str) -> Response:
        """Do it; the same again changes nothing."""
        actor = principal_of(request).actor
        replay = change_replay(replay_id=replay_id, act=act, actor=actor, now=timezone.now())
        return Response(present_replay(replay))


class RetryQuarantined(APIView):
    """Processes one quarantined message again."""

    scopes = {"POST": "sources:write"}

    @extend_schema(operation_id="quarantine_retry", request=None, responses=shapes.MessageSchema)
    def post(self, request: Request, row_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer what became of it; 404 if it is not in quarantine any more."""
        row = Quarantined.objects.filter(pk=row_id).first()
        if row is None:
            message = "Nothing in the quarantine has this id."
            raise UnknownMessage(message)
        rerun_one(row_id=row_id, now=timezone.now())
        source = read_source_keys().get(row.source_id, "")
        return Response(next(iter(find_outcomes(message_id=row.message_id, source=source)), None))
