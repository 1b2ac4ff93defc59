"""The consent ledger by REST: record, list, ask."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, read_page
from cdp.core.api.principal import principal_of
from cdp.core.api.times import read_time
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.services.audit import note_read
from consent.api import fields
from consent.api.present import present_decision, present_decisions, present_verdict
from consent.decision import SUBJECT, effective_at
from consent.errors import UnknownNotice
from consent.models import Notice
from consent.queries.current import current_consents
from consent.queries.ledger import list_decisions
from consent.queries.purposes import get_notice, list_notices, read_latest_notices
from consent.services.decisions import NewDecision, record_decision, settle_conflict
from consent.services.gate import check_consent
from profiles.queries.people import get_by_uuid, name_identifier
from profiles.queries.profiles import read_source_names


class Consents(APIView):
    """Lists the ledger, and records a decision."""

    scope_resource = "consents"

    @extend_schema(
        operation_id="consents_list",
        parameters=[
            OpenApiParameter("profile", description="the profile's id"),
            OpenApiParameter("purpose"),
            OpenApiParameter("channel"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=fields.page_of(fields.ConsentSchema, "ConsentPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, latest record first."""
        given = request.query_params
        profile = given.get("profile") or given.get("profile_id")
        rows = list_decisions(
            profile_ids=[get_by_uuid(public_id=profile).profile_id] if profile else None,
            purpose=given.get("purpose"),
            channel=given.get("channel"),
        )
        page = read_page(request, fetch=fetch_from(rows, "-id"), key=key_from("id"))
        return Response(page.body(present_decisions(page.rows, principal=principal_of(request))))

    @extend_schema(operation_id="consents_record", request=fields.NewConsent, responses={201: fields.ConsentSchema})
    def post(self, request: Request) -> Response:
        """Record a decision."""
        given = fields.read_input(fields.NewConsent, request.data)
        principal = principal_of(request)
        now = timezone.now()
        new = NewDecision(
            purpose=given["purpose"],
            channel=given["channel"],
            state=given["state"],
            recorded_by=principal.actor,
            profile_uuid=given.get("profile_id"),
            identifier=name_identifier(**given["identifier"]) if "identifier" in given else None,
            occurred_at=given.get("occurred_at"),
            expires_at=given.get("expires_at"),
            actor=given.get("actor", SUBJECT),
            source=given.get("source", "api"),
            notice=_find_notice(given.get("notice"), given.get("notice_version")),
            evidence=given.get("evidence") or {},
        )
        decision = record_decision(new=new, now=now)
        if decision is None:
            return Response(_kept_as_suppression(new, now), status=status.HTTP_201_CREATED)
        (shown,) = present_decisions([decision], principal=principal)
        return Response(shown, status=status.HTTP_201_CREATED)


class CheckConsent(APIView):
    """Asks the gate."""

    scopes = {"GET": "consents:read"}

    @extend_schema(
        operation_id="consents_check",
        parameters=[
            OpenApiParameter("profile", required=True, description="the profile's id"),
            OpenApiParameter("purpose", required=True),
            OpenApiParameter("channel", description="without it: all channels"),
            OpenApiParameter("as_of", description="by effective time (ISO 8601)"),
            OpenApiParameter("known_at", description="by time of record (ISO 8601)"),
        ],
        responses=fields.CheckSchema,
    )
    def get(self, request: Request) -> Response:
        """Answer whether data may be processed."""
        given = request.query_params
        profile = given.get("profile") or given.get("profile_id")
        missing = [name for name, value in (("profile", profile), ("purpose", given.get("purpose"))) if not value]
        if missing or not profile:
            message = "profile and purpose are needed."
            raise InvalidInput(message, errors=[FieldError(name, "required", message) for name in missing])
        verdict = check_consent(
            profile_id=get_by_uuid(public_id=profile).profile_id,
            purpose=given["purpose"],
            channel=given.get("channel") or None,
            now=timezone.now(),
            as_of=read_time(given.get("as_of"), path="as_of"),
            known_at=read_time(given.get("known_at"), path="known_at"),
        )
        return Response(present_verdict(verdict))


class SettleConflict(APIView):
    """Attaches evidence to a grant in conflict."""

    scopes = {"POST": "consents:write"}

    @extend_schema(operation_id="consents_settle", request=fields.NewEvidence, responses=fields.ConsentSchema)
    def post(self, request: Request, decision_id: int) -> Response:
        """Settle and answer the decision."""
        given = fields.read_input(fields.NewEvidence, request.data)
        principal = principal_of(request)
        decision = settle_conflict(
            decision_id=decision_id,
            evidence=given["evidence"],
            recorded_by=principal.actor,
            now=timezone.now(),
        )
        (shown,) = present_decisions([decision], principal=principal)
        return Response(shown)


class ProfileConsents(APIView):
    """Lists what stands for a profile now, one row per purpose and channel."""

    scopes = {"GET": "consents:read"}

    @extend_schema(
        operation_id="profiles_consents", responses=fields.page_of(fields.ConsentSchema, "ProfileConsentPage")
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """Answer all cells; there are few."""
        principal = principal_of(request)
        person = get_by_uuid(public_id=profile_id)
        if principal.sees_personal_data:
            note_read(actor=principal.actor, object=f"profile:{person.uuid}")
        held = current_consents(profile_ids=[person.profile_id], now=timezone.now())
        told: dict[str, Any] = {
            "public_id": person.uuid,
            "sources": read_source_names(),
            "latest": read_latest_notices(),
        }
        rows = [
            {
                **present_decision(one.decision, **told, principal=principal),
                "state": one.state,
                "conflict": one.conflict,
            }
            for one in held.get(person.profile_id, [])
        ]
        return Response({"results": rows, "next": None, "previous": None})


def _find_notice(notice: str | None, version: int | None) -> Notice | None:
    """Return the notice that a decision names: KEY or KEY/LANGUAGE, and a version (default: the latest).

    A version alone is enough where only one notice has it.
    """
    if notice is None and version is None:
        return None
    if notice is not None or version is None:
        key, _, language = (notice or "").partition("/")
        return get_notice(key=key, language=language or None, version=version)
    found = list(list_notices().filter(version=version).order_by("id")[:2])
    if not found:
        raise UnknownNotice("No notice has this version.")
    if len(found) > 1:
        message = "Several notices have this version. Name one: notice is KEY or KEY/LANGUAGE."
        raise InvalidInput(message, errors=[FieldError("notice", "required", message)])
    return found[0]


def _kept_as_suppression(new: NewDecision, now: Any) -> dict[str, Any]:
    """Return the answer to a refusal of somebody who was erased: nothing but the suppression is kept."""
    occurred_at = new.occurred_at or now
    return {
        "id": None,
        "profile_id": None,
        "purpose": new.purpose,
        "channel": new.channel,
        "state": new.state,
        "effective_at": effective_at(state=new.state, occurred_at=occurred_at, recorded_at=now),
        "expires_at": None,
        "occurred_at": occurred_at,
        "recorded_at": now,
        "source": "",
        "actor": new.actor,
        "notice": None,
        "notice_version": None,
        "evidence": {},
        "conflict": False,
    }
