"""Consent in numbers, by REST."""

from dataclasses import asdict

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.principal import principal_of
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.registries import source_keys
from consent.api.fields import StrictSerializer, TimeField, read_input
from consent.decision import LEGAL_BASES
from consent.queries.desk import list_conflicts, list_expiring
from consent.queries.purposes import check_channel, get_purpose
from consent.queries.statistics import DAYS, Stricter, find_silent_sources, preview_stricter, read_statistics

MOST_DAYS = 730
EXPIRING_DAYS = 30


class DaySchema(serializers.Serializer):
    """Decisions recorded on one day, by state."""

    day = serializers.DateField()
    granted = serializers.IntegerField()
    denied = serializers.IntegerField()
    withdrawn = serializers.IntegerField()
    objected = serializers.IntegerField()
    pending = serializers.IntegerField()


class SourceCountSchema(serializers.Serializer):
    """Decisions that came from one source, by state."""

    source = serializers.CharField()  # type: ignore[assignment]
    granted = serializers.IntegerField()
    denied = serializers.IntegerField()
    withdrawn = serializers.IntegerField()
    objected = serializers.IntegerField()
    pending = serializers.IntegerField()
    last_at = serializers.DateTimeField()


class StatisticsSchema(serializers.Serializer):
    """Decisions recorded on a purpose."""

    days = DaySchema(many=True)
    sources = SourceCountSchema(many=True)


class StricterInput(StrictSerializer):
    """What a purpose would ask for; what is left out stays as it is."""

    channel = serializers.CharField(max_length=32, required=False, allow_null=True)
    legal_basis = serializers.ChoiceField(choices=LEGAL_BASES, required=False)
    granted_after = TimeField(required=False)
    notice_version = serializers.IntegerField(min_value=1, max_value=2_000_000_000, required=False)
    by_subject = serializers.BooleanField(required=False)
    double_opt_in = serializers.BooleanField(required=False)


class LostSchema(serializers.Serializer):
    """Who would be lost."""

    allowed_now = serializers.IntegerField()
    allowed_then = serializers.IntegerField()
    lost = serializers.IntegerField()
    sample = serializers.ListField(child=serializers.CharField())


class AttentionSchema(serializers.Serializer):
    """What the officer should look at."""

    conflicts = serializers.IntegerField()
    expiring = serializers.IntegerField()
    expiring_days = serializers.IntegerField()
    silent_sources = serializers.ListField(child=serializers.CharField())
    silent_days = serializers.IntegerField()


class PurposeStatistics(APIView):
    """Counts decisions on a purpose."""

    scopes = {"GET": "consents:read"}

    @extend_schema(
        operation_id="purposes_statistics",
        parameters=[OpenApiParameter("days", int, description=f"1 to {MOST_DAYS}, default {DAYS}")],
        responses=StatisticsSchema,
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer every day of the period, oldest first, and every source, the busiest first."""
        text = request.query_params.get("days") or str(DAYS)
        if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= MOST_DAYS):
            message = f"days is a whole number from 1 to {MOST_DAYS}."
            raise InvalidInput(message, errors=[FieldError("days", "invalid", message)])
        found = read_statistics(purpose=get_purpose(key=key), now=timezone.now(), days=int(text))
        return Response({"days": [{"day": day, **counts} for day, counts in found.days], "sources": found.sources})


class PreviewStricter(APIView):
    """Counts who would be lost if a purpose became stricter."""

    scopes = {"POST": "consents:read"}

    @extend_schema(operation_id="purposes_preview", request=StricterInput, responses=LostSchema)
    def post(self, request: Request, key: str) -> Response:
        """Answer how many may be processed now and then, and some of those lost; nothing is changed."""
        given = read_input(StricterInput, request.data)
        purpose = get_purpose(key=key)
        channel = given.pop("channel", None) or None
        check_channel(purpose=purpose, channel=channel)
        found = preview_stricter(purpose=purpose, channel=channel, stricter=Stricter(**given), now=timezone.now())
        return Response(asdict(found))


class Attention(APIView):
    """Counts what the officer should look at."""

    scopes = {"GET": "consents:read"}

    @extend_schema(operation_id="consents_attention", responses=AttentionSchema)
    def get(self, request: Request) -> Response:
        """Answer conflicts, grants that end soon, and sources that send no consent."""
        principal_of(request)
        now = timezone.now()
        sources = {source_id: key for read in source_keys for source_id, key in read().items()}
        return Response(
            {
                "conflicts": list_conflicts().count(),
                "expiring": list_expiring(now=now, days=EXPIRING_DAYS).count(),
                "expiring_days": EXPIRING_DAYS,
                "silent_sources": find_silent_sources(sources=sources, now=now),
                "silent_days": DAYS,
            }
        )
