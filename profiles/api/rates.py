"""Exchange rates by REST."""

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.json import JsonParser
from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from profiles.api import schemas
from profiles.errors import BadRates
from profiles.queries.rates import find_unconverted, list_rates, present_rate
from profiles.services.rates import Rate, delete_rate, read_rates, read_rates_file, set_rates


class RateSchema(serializers.Serializer):
    """An exchange rate: what one unit of the currency is worth in the installation's currency from the date on."""

    id = serializers.CharField(read_only=True)
    currency = serializers.CharField(max_length=3)
    date = serializers.DateField()
    rate = serializers.CharField()
    created_at = serializers.DateTimeField(read_only=True)


class NewRates(serializers.Serializer):
    """Rates to set; one alone may stand without the list."""

    rates = RateSchema(many=True)


class RatesSetSchema(serializers.Serializer):
    """What became of the rates."""

    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()


class UnconvertedSchema(serializers.Serializer):
    """Orders that wait for a rate of their currency."""

    currency = serializers.CharField()
    orders = serializers.IntegerField()
    first_at = serializers.DateTimeField()


class UnconvertedList(serializers.Serializer):
    """All currencies in which orders wait."""

    results = UnconvertedSchema(many=True)


class ExchangeRates(APIView):
    """Lists exchange rates, and sets some: as JSON, or as a CSV file with the columns date, currency and rate."""

    scope_resource = "sources"
    parser_classes = [JsonParser, MultiPartParser]

    @extend_schema(
        operation_id="exchange_rates_list",
        parameters=[
            OpenApiParameter("currency", description="only rates of this currency"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=schemas.page_of(RateSchema, "ExchangeRatePage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest day first."""
        rows = list_rates(currency=request.query_params.get("currency", "").replace("\0", ""))
        return paginate(
            request,
            fetch=fetch_from(rows, "-valid_on", "-id"),
            key=key_from("valid_on", "id"),
            present=present_rate,
        )

    @extend_schema(operation_id="exchange_rates_set", request=NewRates, responses=RatesSetSchema)
    def post(self, request: Request) -> Response:
        """Set rates; the same again changes nothing."""
        done = set_rates(rates=_given(request), actor=principal_of(request).actor, now=timezone.now())
        return Response({"created": done.created, "changed": done.changed, "unchanged": done.unchanged})


class OneExchangeRate(APIView):
    """Takes an exchange rate away."""

    scope_resource = "sources"

    @extend_schema(operation_id="exchange_rates_delete", responses={204: None})
    def delete(self, request: Request, rate_id: int) -> Response:
        """Delete it; orders in its currency are converted anew."""
        delete_rate(rate_id=rate_id, actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class UnconvertedOrders(APIView):
    """Tells in which currencies orders wait for a rate."""

    scope_resource = "sources"

    @extend_schema(operation_id="exchange_rates_missing", responses=UnconvertedList)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Answer all of them."""
        rows = [{"currency": x.currency, "orders": x.orders, "first_at": x.first_at} for x in find_unconverted()]
        return Response({"results": rows})


def _given(request: Request) -> list[Rate]:
    data: Any = request.data
    file = data.get("file") if hasattr(data, "get") else None
    if isinstance(file, UploadedFile):
        return read_rates_file(file.read())
    rows = data.get("rates", [data]) if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        message = 'Give {"rates": [{"date": "2026-01-31", "currency": "USD", "rate": "0.92"}]} or a CSV file as `file`.'
        raise BadRates(message)
    return read_rates(rows, first=0)
