"""Alerts by REST: what is open, what is done about it, the rules, and the channels."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate, read_page
from cdp.core.api.principal import principal_of
from cdp.core.errors import FieldError, InvalidInput
from ingestion.alert_models import AlertChannel, AlertMute
from ingestion.alerting.detect import KINDS, SENSITIVITIES
from ingestion.alerting.episodes import OPEN, RESOLVED
from ingestion.api import shapes
from ingestion.queries.alerts import (
    get_alert,
    get_channel,
    list_alerts,
    list_channels,
    list_mutes,
    list_source_rules,
    present_alerts,
    present_channel,
    present_rule,
    read_default_rules,
)
from ingestion.services.alerts import (
    RuleSettings,
    acknowledge_alert,
    change_channel,
    create_channel,
    delete_channel,
    delete_rule,
    mute_alert,
    set_rule,
    try_channel,
    unmute,
)
from ingestion.services.delivering import read_secret

STATES = [OPEN, RESOLVED]
SENSITIVITY_NAMES = list(SENSITIVITIES)


class AlertSchema(serializers.Serializer):
    """Something unusual; `observed` and `expected` are messages, minutes (basis `stated`) or shares."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    state = serializers.ChoiceField(choices=STATES)
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # a member of that name
    type = serializers.CharField(allow_null=True)
    event = serializers.CharField(allow_null=True)
    field = serializers.CharField(allow_null=True)
    text = serializers.CharField()
    observed = serializers.FloatField()
    expected = serializers.FloatField()
    basis = serializers.CharField()
    since = serializers.DateTimeField()
    opened_at = serializers.DateTimeField()
    last_bad_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    follows_from = serializers.CharField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    muted = serializers.BooleanField()
    muted_until = serializers.DateTimeField(allow_null=True)


class AcknowledgeAlert(shapes.StrictSerializer):
    """What is done about it."""

    reason = serializers.CharField(required=False, allow_blank=True)


class MuteAlert(shapes.StrictSerializer):
    """Why, and until when; without a time until somebody takes the mute away."""

    reason = serializers.CharField()
    until = serializers.DateTimeField(required=False, allow_null=True)


class AlertMuteSchema(serializers.Serializer):
    """A subject of which nobody wants to be told."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # as above
    type = serializers.CharField(allow_null=True)
    event = serializers.CharField(allow_null=True)
    field = serializers.CharField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()


class AlertRuleSchema(serializers.Serializer):
    """Whether a kind of alert is on; `source` null: for all sources. `channels` empty: all of them."""

    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # as above
    kind = serializers.ChoiceField(choices=KINDS)
    enabled = serializers.BooleanField()
    sensitivity = serializers.ChoiceField(choices=SENSITIVITY_NAMES)
    channels = serializers.ListField(child=serializers.CharField())


class NewAlertRule(shapes.StrictSerializer):
    """A rule; what is left out is on, normal, for all channels."""

    source = serializers.CharField(required=False, allow_null=True, max_length=64)  # type: ignore[assignment]
    kind = serializers.CharField(max_length=20)
    enabled = serializers.BooleanField(required=False, default=True)
    sensitivity = serializers.CharField(required=False, default="normal", max_length=20)
    channels = serializers.ListField(child=serializers.RegexField(r"^\d{1,9}$"), required=False, default=list)


class AlertRulesSchema(serializers.Serializer):
    """All rules: those for all sources, then those of single sources."""

    results = AlertRuleSchema(many=True)


class AlertChannelSchema(serializers.Serializer):
    """Whom alerts are told; `problem` is what went wrong last, `secret` signs a webhook."""

    id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=AlertChannel.Kind.values)
    target = serializers.CharField()
    secret = serializers.CharField(required=False)
    enabled = serializers.BooleanField()
    problem = serializers.CharField()
    created_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)


class NewAlertChannel(shapes.StrictSerializer):
    """A new channel."""

    kind = serializers.CharField(max_length=20)
    target = serializers.CharField(max_length=2000)
    name = serializers.CharField(required=False, allow_blank=True, max_length=120)


class AlertChannelFields(shapes.StrictSerializer):
    """What can be changed of a channel."""

    enabled = serializers.BooleanField()


class AlertNoticeSchema(serializers.Serializer):
    """A notice that was written; a webhook is delivered by a worker."""

    id = serializers.CharField()
    state = serializers.CharField()


class Alerts(APIView):
    """Lists alerts."""

    scopes = {"GET": "sources:read"}

    @extend_schema(
        operation_id="alerts_list",
        parameters=[
            OpenApiParameter("state", enum=STATES),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=shapes.page_of(AlertSchema, "AlertPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        state = request.query_params.get("state", "")
        if state and state not in STATES:
            message = f"state is one of {', '.join(STATES)}."
            raise InvalidInput(message, errors=[FieldError(path="state", code="input.invalid", message=message)])
        page = read_page(request, fetch=fetch_from(list_alerts(state=state), "-id"), key=key_from("id"))
        return Response(page.body(present_alerts(page.rows, now=timezone.now())))


class OneAlert(APIView):
    """Reads an alert."""

    scopes = {"GET": "sources:read"}

    @extend_schema(operation_id="alerts_read", responses=AlertSchema)
    def get(self, request: Request, alert_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer it."""
        return Response(_present(alert_id))


class Acknowledge(APIView):
    """Notes that somebody takes care of an alert."""

    scopes = {"POST": "sources:write"}

    @extend_schema(operation_id="alerts_acknowledge", request=AcknowledgeAlert, responses=AlertSchema)
    def post(self, request: Request, alert_id: int) -> Response:
        """Do it: it is not told again before it ends."""
        given = AcknowledgeAlert(data=request.data)
        given.is_valid(raise_exception=True)
        acknowledge_alert(
            alert_id=alert_id,
            reason=given.validated_data.get("reason", ""),
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(_present(alert_id))


class Mute(APIView):
    """Mutes what an alert is about."""

    scopes = {"POST": "sources:write"}

    @extend_schema(operation_id="alerts_mute", request=MuteAlert, responses=AlertSchema)
    def post(self, request: Request, alert_id: int) -> Response:
        """Do it, now and when it comes back; the same again changes time and reason."""
        given = MuteAlert(data=request.data)
        given.is_valid(raise_exception=True)
        mute_alert(
            alert_id=alert_id,
            until=given.validated_data.get("until"),
            reason=given.validated_data["reason"],
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(_present(alert_id))


class Mutes(APIView):
    """Lists what is muted."""

    scopes = {"GET": "sources:read"}

    @extend_schema(
        operation_id="alert_mutes_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(AlertMuteSchema, "AlertMutePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first."""
        rows = list_mutes(now=timezone.now())
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=_present_mute)


class OneMute(APIView):
    """Takes a mute away."""

    scopes = {"DELETE": "sources:write"}

    @extend_schema(operation_id="alert_mutes_delete", responses={204: None})
    def delete(self, request: Request, mute_id: int) -> Response:
        """Do it."""
        unmute(mute_id=mute_id, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class AlertRules(APIView):
    """Reads the rules; makes, changes and takes away one."""

    scope_resource = "sources"

    @extend_schema(operation_id="alert_rules_list", responses=AlertRulesSchema)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer all: first those for all sources, also where nobody made them."""
        rows = [*read_default_rules(), *list_source_rules().order_by("source__key", "kind")]
        return Response({"results": [present_rule(row) for row in rows]})

    @extend_schema(operation_id="alert_rules_set", request=NewAlertRule, responses=AlertRuleSchema)
    def put(self, request: Request) -> Response:
        """Set the rule of a kind, for all sources or for one."""
        given = NewAlertRule(data=request.data)
        given.is_valid(raise_exception=True)
        fields = given.validated_data
        rule = set_rule(
            source=fields.get("source"),
            kind=fields["kind"],
            settings=RuleSettings(
                enabled=fields["enabled"],
                sensitivity=fields["sensitivity"],
                channels=tuple(int(one) for one in fields["channels"]),
            ),
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(present_rule(rule))

    @extend_schema(
        operation_id="alert_rules_delete",
        parameters=[OpenApiParameter("source", required=True), OpenApiParameter("kind", enum=KINDS, required=True)],
        responses={204: None},
    )
    def delete(self, request: Request) -> Response:
        """Let what holds for all sources hold for this one again."""
        delete_rule(
            source=request.query_params.get("source", ""),
            kind=request.query_params.get("kind", ""),
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class Channels(APIView):
    """Lists channels, and adds one. Addresses and secrets are for who may change sources."""

    scopes = {"GET": "sources:write", "POST": "sources:write"}

    @extend_schema(
        operation_id="alert_channels_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor")],
        responses=shapes.page_of(AlertChannelSchema, "AlertChannelPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, in the order in which they were added."""
        return paginate(request, fetch=fetch_from(list_channels(), "id"), key=key_from("id"), present=_present_channel)

    @extend_schema(operation_id="alert_channels_create", request=NewAlertChannel, responses={201: AlertChannelSchema})
    def post(self, request: Request) -> Response:
        """Add one."""
        given = NewAlertChannel(data=request.data)
        given.is_valid(raise_exception=True)
        fields = given.validated_data
        made = create_channel(
            kind=fields["kind"],
            target=fields["target"],
            name=fields.get("name", ""),
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(_present_channel(made), status=status.HTTP_201_CREATED)


class OneChannel(APIView):
    """Reads, switches and deletes a channel."""

    scopes = {"GET": "sources:write", "PATCH": "sources:write", "DELETE": "sources:write"}

    @extend_schema(operation_id="alert_channels_read", responses=AlertChannelSchema)
    def get(self, request: Request, channel_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer it."""
        return Response(_present_channel(get_channel(channel_id=channel_id)))

    @extend_schema(operation_id="alert_channels_change", request=AlertChannelFields, responses=AlertChannelSchema)
    def patch(self, request: Request, channel_id: int) -> Response:
        """Switch it on or off."""
        given = AlertChannelFields(data=request.data)
        given.is_valid(raise_exception=True)
        changed = change_channel(
            channel_id=channel_id,
            enabled=given.validated_data["enabled"],
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(_present_channel(changed))

    @extend_schema(operation_id="alert_channels_delete", responses={204: None})
    def delete(self, request: Request, channel_id: int) -> Response:
        """Delete it with its notices."""
        delete_channel(channel_id=channel_id, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class TryChannel(APIView):
    """Sends a test notice."""

    scopes = {"POST": "sources:write"}

    @extend_schema(operation_id="alert_channels_test", request=None, responses={202: AlertNoticeSchema})
    def post(self, request: Request, channel_id: int) -> Response:
        """Write it; a mail leaves by the outbox, a webhook by a worker."""
        notice = try_channel(channel_id=channel_id, actor=principal_of(request).actor, now=timezone.now())
        return Response({"id": str(notice.pk), "state": notice.state}, status=status.HTTP_202_ACCEPTED)


def _present(alert_id: int) -> dict[str, Any]:
    return present_alerts([get_alert(alert_id=alert_id)], now=timezone.now())[0]


def _present_channel(channel: AlertChannel) -> dict[str, Any]:
    shown = present_channel(channel)
    return {**shown, "secret": read_secret(channel)} if channel.kind == AlertChannel.Kind.WEBHOOK else shown


def _present_mute(mute: AlertMute) -> dict[str, Any]:
    names = ("kind", "until", "reason", "created_at")
    return {
        "id": str(mute.pk),
        "source": mute.source.key if mute.source is not None else None,
        **{name: getattr(mute, name) or None for name in ("type", "event", "field")},
        **{name: getattr(mute, name) for name in names},
    }
