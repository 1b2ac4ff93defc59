"""The review queue of fuzzy matching by REST."""

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, read_page
from cdp.core.api.principal import principal_of
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.services.audit import note_read
from profiles.api import matching_schemas as shapes
from profiles.api.schemas import page_of
from profiles.matching_models import MatchCandidate
from profiles.queries.matching import get_candidate, list_candidates, present_candidates
from profiles.services.matching_review import BulkRule, decide_candidate, decide_in_bulk

STATES = tuple(MatchCandidate.State.values)


class Candidates(APIView):
    """Lists pairs that somebody should look at."""

    scopes = {"GET": "identity:read"}

    @extend_schema(
        operation_id="candidates_list",
        parameters=[
            OpenApiParameter("state", str, description="open (the default), merged, different or gone"),
            OpenApiParameter("model", str, description="key of a matching model"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=page_of(shapes.CandidateSchema, "CandidatePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, the likeliest first; open ones unless another state is asked for."""
        principal = principal_of(request)
        state = request.query_params.get("state", "open")
        if state not in STATES:
            message = f"state is one of {', '.join(STATES)}."
            raise InvalidInput(message, errors=[FieldError("state", "input.invalid", message)])
        rows = list_candidates(state=state, model=request.query_params.get("model", ""))
        page = read_page(request, fetch=fetch_from(rows, "-probability", "-id"), key=key_from("probability", "id"))
        if principal.sees_personal_data and page.rows:
            note_read(actor=principal.actor, object="match_candidates")
        return Response(page.body(present_candidates(page.rows, principal=principal)))


class OneCandidate(APIView):
    """Reads a pair of the review queue."""

    scopes = {"GET": "identity:read"}

    @extend_schema(operation_id="candidates_read", responses=shapes.CandidateSchema)
    def get(self, request: Request, candidate_id: int) -> Response:
        """Answer it with what each field contributes."""
        row = get_candidate(candidate_id=candidate_id)
        return Response(present_candidates([row], principal=principal_of(request))[0])


class DecideCandidate(APIView):
    """Decides a pair of the review queue."""

    scopes = {"POST": "identity:write"}

    @extend_schema(
        operation_id="candidates_decide", request=shapes.DecisionRequest, responses={200: shapes.CandidateSchema}
    )
    def post(self, request: Request, candidate_id: int) -> Response:
        """Join the two, or keep them apart for good."""
        given = shapes.DecisionRequest(data=request.data)
        given.is_valid(raise_exception=True)
        principal = principal_of(request)
        row = decide_candidate(
            candidate_id=candidate_id,
            decision=given.validated_data["decision"],
            actor=principal.actor,
            now=timezone.now(),
        )
        return Response(present_candidates([row], principal=principal)[0])


class DecideInBulk(APIView):
    """Decides all open pairs within a rule."""

    scopes = {"POST": "identity:write"}

    @extend_schema(operation_id="candidates_bulk", request=shapes.BulkRule, responses={200: shapes.BulkDone})
    def post(self, request: Request) -> Response:
        """Decide them; with `dry_run`, which is the default, only tell how many there are."""
        given = shapes.BulkRule(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        rule = BulkRule(data["model"], data["decision"], data.get("least", 0.0), data.get("most", 1.0))
        pairs, decided = decide_in_bulk(
            rule=rule, dry_run=data["dry_run"], actor=principal_of(request).actor, now=timezone.now()
        )
        return Response({"pairs": pairs, "decided": decided})
