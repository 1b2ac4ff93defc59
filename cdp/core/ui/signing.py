"""The public keys by which others verify what this installation has signed."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from cdp.core.signing import current_pem, published_keys


@require_safe
def signing_keys(_request: HttpRequest) -> HttpResponse:
    """Answer the keys as a JWK set (RFC 7517), the one that signs now first."""
    keys = [{**key.jwk, "retired": True} if key.retired else key.jwk for key in published_keys()]
    return JsonResponse({"keys": keys}, headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=3600"})


@require_safe
def signing_key_pem(_request: HttpRequest) -> HttpResponse:
    """Answer the key that signs now as OpenSSL reads it."""
    return HttpResponse(current_pem(), content_type="application/x-pem-file")
