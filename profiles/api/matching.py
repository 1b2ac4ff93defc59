"""Fuzzy matching by REST: models, questions and answers, labels, training, runs with clusters and pairs."""

from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.json import JsonRenderer
from cdp.core.api.pagination import fetch_from, key_from, paginate, read_limit
from cdp.core.api.principal import principal_of
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.services.audit import note_read
from profiles.api import matching_schemas as shapes
from profiles.api.schemas import page_of
from profiles.queries.matching import (
    cluster_lines,
    get_match_run,
    list_match_versions,
    list_models,
    pair_lines,
    present_match_run,
    present_match_version,
    present_model,
    present_questions,
)
from profiles.queries.matching_labels import export_labels
from profiles.services.matching_labels import GivenLabel, answer_questions, give_labels, list_questions
from profiles.services.matching_models import ask_training, create_model, get_model, require_matching, start_match_run

PAGING = [OpenApiParameter("limit", int), OpenApiParameter("cursor")]
CSV = "text/csv; charset=utf-8"


class CsvRenderer(JsonRenderer):
    """So that `?format=csv` is accepted; the view streams the lines itself, and problems stay JSON."""

    format = "csv"


class MatchModels(APIView):
    """Lists matching models, and makes one."""

    scope_resource = "identity"

    @extend_schema(
        operation_id="matching_models_list",
        parameters=PAGING,
        responses=page_of(shapes.MatchModelSchema, "MatchModelPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page."""
        require_matching()
        return paginate(request, fetch=fetch_from(list_models(), "id"), key=key_from("id"), present=present_model)

    @extend_schema(
        operation_id="matching_models_create",
        request=shapes.NewMatchModel,
        responses={201: shapes.MatchModelSchema},
    )
    def post(self, request: Request) -> Response:
        """Make a model; its first questions are prepared meanwhile."""
        made = create_model(definition=request.data, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_model(made), status=status.HTTP_201_CREATED)


class OneMatchModel(APIView):
    """Reads a matching model."""

    scopes = {"GET": "identity:read"}

    @extend_schema(operation_id="matching_models_read", responses=shapes.MatchModelSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer it."""
        return Response(present_model(get_model(key=key)))


class MatchQuestions(APIView):
    """Asks about pairs of records."""

    scopes = {"GET": "identity:write"}

    @extend_schema(
        operation_id="matching_questions",
        parameters=[OpenApiParameter("limit", int)],
        responses=shapes.QuestionPage,
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer open questions, the most informative first; none while the learner thinks: ask again."""
        principal = principal_of(request)
        model = get_model(key=key)
        limit = read_limit(request)
        questions = list_questions(model=model, limit=limit, now=timezone.now(), actor=principal.actor)
        traits = [one["trait"] for one in model.definition["fields"]]
        shown = present_questions(questions, traits=traits, principal=principal)
        if principal.sees_personal_data and shown:
            note_read(actor=principal.actor, object=f"matching_model:{key}:questions")
        answer = Response({"results": shown, "next": None, "previous": None, "status": model.status})
        if not shown:
            answer["Retry-After"] = "2"
        return answer


class MatchAnswers(APIView):
    """Takes answers to questions."""

    scopes = {"POST": "identity:write"}

    @extend_schema(operation_id="matching_answers", request=shapes.AnswersRequest, responses=shapes.AnswersTaken)
    def post(self, request: Request, key: str) -> Response:
        """Take answers in; each question is answered once."""
        given = shapes.AnswersRequest(data=request.data)
        given.is_valid(raise_exception=True)
        answers = []
        for number, one in enumerate(given.validated_data["answers"]):
            if not one["id"].isascii() or not one["id"].isdigit() or len(one["id"]) > 18:
                message = "There is no such question."
                path = f"answers[{number}].id"
                raise InvalidInput(message, errors=[FieldError(path, "matching.unknown_question", message)])
            answers.append((int(one["id"]), one["answer"]))
        taken, missed = answer_questions(
            model=get_model(key=key), answers=answers, actor=principal_of(request).actor, now=timezone.now()
        )
        return Response({"taken": taken, "not_open": [str(one) for one in missed]})


class MatchLabels(APIView):
    """Exports labels, and takes in labels for named records."""

    scope_resource = "identity"

    @extend_schema(
        operation_id="matching_labels_list", parameters=PAGING, responses=page_of(shapes.LabelSchema, "MatchLabelPage")
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page of labels by record id: the portable truth."""
        model = get_model(key=key)
        rows, present = export_labels(model=model)
        return paginate(request, fetch=fetch_from(rows, "id"), key=key_from("id"), present=present)

    @extend_schema(
        operation_id="matching_labels_give", request=shapes.LabelsRequest, responses={200: shapes.LabelsTaken}
    )
    def post(self, request: Request, key: str) -> Response:
        """Take labels in; a second one of the same caller for a pair replaces the first."""
        given = shapes.LabelsRequest(data=request.data)
        given.is_valid(raise_exception=True)
        labels = [GivenLabel(one["left"], one["right"], one["answer"]) for one in given.validated_data["pairs"]]
        taken = give_labels(
            model=get_model(key=key), labels=labels, actor=principal_of(request).actor, now=timezone.now()
        )
        return Response({"taken": taken})


class TrainMatchModel(APIView):
    """Trains a model on all labels."""

    scopes = {"POST": "identity:write"}

    @extend_schema(operation_id="matching_train", request=None, responses={202: shapes.MatchModelSchema})
    def post(self, request: Request, key: str) -> Response:
        """Have the model trained; its status tells when it is done."""
        model = ask_training(model=get_model(key=key), actor=principal_of(request).actor, now=timezone.now())
        return Response(present_model(model), status=status.HTTP_202_ACCEPTED)


class MatchVersions(APIView):
    """Lists what was trained, newest first."""

    scopes = {"GET": "identity:read"}

    @extend_schema(
        operation_id="matching_versions",
        parameters=PAGING,
        responses=page_of(shapes.MatchVersionSchema, "MatchVersionPage"),
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page."""
        model = get_model(key=key)
        return paginate(
            request,
            fetch=fetch_from(list_match_versions(model=model), "-version"),
            key=key_from("version"),
            present=lambda row: present_match_version(row, model.live_version),
        )


class MatchRuns(APIView):
    """Lists runs, and starts one."""

    scope_resource = "identity"

    @extend_schema(
        operation_id="matching_runs_list", parameters=PAGING, responses=page_of(shapes.MatchRunSchema, "MatchRunPage")
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer one page, newest first."""
        rows = get_model(key=key).runs.all()
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_match_run)

    @extend_schema(
        operation_id="matching_runs_start", request=shapes.NewMatchRun, responses={202: shapes.MatchRunSchema}
    )
    def post(self, request: Request, key: str) -> Response:
        """Start a run; with `apply` it joins the pairs of the auto-link zone. Splink joins nothing."""
        given = shapes.NewMatchRun(data=request.data or {})
        given.is_valid(raise_exception=True)
        run = start_match_run(
            model=get_model(key=key),
            apply=given.validated_data["apply"],
            engine=given.validated_data["engine"],
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(present_match_run(run), status=status.HTTP_202_ACCEPTED)


class OneMatchRun(APIView):
    """Reads a run."""

    scopes = {"GET": "identity:read"}

    @extend_schema(operation_id="matching_run", responses=shapes.MatchRunSchema)
    def get(self, request: Request, key: str, run_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Answer it with its figures."""
        return Response(present_match_run(get_match_run(model=get_model(key=key), run_id=run_id)))


class _RunLines(APIView):
    """What a run found, as CSV."""

    scopes = {"GET": "identity:read"}
    renderer_classes = [JsonRenderer, CsvRenderer]

    def stream(self, request: Request, key: str, run_id: int, lines: Any, name: str) -> StreamingHttpResponse:
        run = get_match_run(model=get_model(key=key), run_id=run_id)
        note_read(actor=principal_of(request).actor, object=f"matching_run:{run.pk}:{name}")
        headers = {"Content-Disposition": f'attachment; filename="{name}-{run.pk}.csv"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(lines(run=run), content_type=CSV, headers=headers)


class MatchClusters(_RunLines):
    """The clusters of a run."""

    @extend_schema(
        operation_id="matching_clusters",
        parameters=[OpenApiParameter("format", str, description="csv, which is the default")],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, key: str, run_id: int) -> StreamingHttpResponse:
        """Answer `record_id,cluster_id`, one line per record, those alone included."""
        return self.stream(request, key, run_id, cluster_lines, "clusters")


class MatchPairs(_RunLines):
    """The likely pairs of a run."""

    @extend_schema(
        operation_id="matching_pairs",
        parameters=[OpenApiParameter("format", str, description="csv, which is the default")],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, key: str, run_id: int) -> StreamingHttpResponse:
        """Answer `left,right,probability`, from a probability of 0.05 on."""
        return self.stream(request, key, run_id, pair_lines, "pairs")
