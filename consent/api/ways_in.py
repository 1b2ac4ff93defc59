"""Ways in for consent by REST: consent strings, preference links, hosted forms, and what signals mean for purposes."""

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.pagination import fetch_from, key_from, paginate
from cdp.core.api.principal import principal_of
from consent.api import asking_fields, fields
from consent.api.present import (
    present_banner,
    present_decisions,
    present_form,
    present_link,
    present_new_link,
    present_signals,
    present_tc_string,
)
from consent.models import Purpose
from consent.queries.banners import get_banner, get_source_id
from consent.queries.links import get_form, list_forms, list_links
from consent.queries.mode import read_consent_mode
from consent.queries.purposes import get_purpose
from consent.services.banners import delete_banner, put_banner
from consent.services.forms import change_form, create_form
from consent.services.links import NewLink, create_link, revoke_link
from consent.services.purposes import change_purpose
from consent.services.tcf import NewTcString, record_tc_string
from consent.words.choosing import choose_words
from profiles.queries.people import get_by_uuid, name_identifier


class RecordTcString(APIView):
    """Takes an IAB consent string."""

    scopes = {"POST": "consents:write"}

    @extend_schema(operation_id="consents_tcf", request=asking_fields.NewTcf, responses={201: asking_fields.TcfSchema})
    def post(self, request: Request) -> Response:
        """Record what it says on the purposes that are mapped to the framework."""
        given = fields.read_input(asking_fields.NewTcf, request.data)
        principal = principal_of(request)
        recorded = record_tc_string(
            new=NewTcString(
                text=given["tc_string"],
                recorded_by=principal.actor,
                profile_uuid=given.get("profile_id"),
                identifier=name_identifier(**given["identifier"]) if "identifier" in given else None,
                occurred_at=given.get("occurred_at"),
                source=given.get("source", "api"),
                evidence=given.get("evidence") or {},
            ),
            now=timezone.now(),
        )
        body = {
            "tcf": present_tc_string(recorded.tc, recorded.judgement),
            "consents": present_decisions(recorded.decisions, principal=principal),
        }
        return Response(body, status=status.HTTP_201_CREATED)


class SignalsOfPurpose(APIView):
    """Reads and changes what signals of the outside mean for a purpose, and what public pages say of it."""

    scope_resource = "consents"

    def permission_object(self) -> Purpose:
        """Return the purpose, on which a person may have a right of their own."""
        return get_purpose(key=self.kwargs["key"])

    @extend_schema(operation_id="purposes_signals", responses=fields.PurposeSignals)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer them."""
        return Response(present_signals(get_purpose(key=key)))

    @extend_schema(
        operation_id="purposes_change_signals", request=fields.PurposeSignals, responses=fields.PurposeSignals
    )
    def patch(self, request: Request, key: str) -> Response:
        """Change what is given."""
        given = fields.read_input(fields.PurposeSignals, request.data, partial=True)
        purpose = change_purpose(key=key, fields=given, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_signals(purpose))


class PreferenceLinks(APIView):
    """Lists the links of people, and makes one."""

    scope_resource = "consents"

    @extend_schema(
        operation_id="preference_links_list",
        parameters=[
            OpenApiParameter("profile", description="the profile's id"),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor"),
        ],
        responses=fields.page_of(asking_fields.PreferenceLinkSchema, "PreferenceLinkPage"),
    )
    def get(self, request: Request) -> Response:
        """Answer one page, newest first; tokens are not known."""
        profile = request.query_params.get("profile")
        rows = list_links(profile_id=get_by_uuid(public_id=profile).profile_id if profile else None)
        return paginate(request, fetch=fetch_from(rows, "-id"), key=key_from("id"), present=present_link)

    @extend_schema(
        operation_id="preference_links_create",
        request=asking_fields.NewPreferenceLink,
        responses={201: asking_fields.PreferenceLinkSchema},
    )
    def post(self, request: Request) -> Response:
        """Make a link; its address is in this answer only."""
        given = fields.read_input(asking_fields.NewPreferenceLink, request.data)
        language = given.get("language", "")
        link, token = create_link(
            new=NewLink(
                kind=given["kind"],
                created_by=principal_of(request).actor,
                profile_uuid=given.get("profile_id"),
                identifier=name_identifier(**given["identifier"]) if "identifier" in given else None,
                asks=given.get("asks", []),
                language=language,
                days=given.get("expires_in_days"),
            ),
            words=choose_words(asked=language),
            now=timezone.now(),
        )
        return Response(present_new_link(link, token), status=status.HTTP_201_CREATED)


class OnePreferenceLink(APIView):
    """Revokes a link."""

    scopes = {"DELETE": "consents:write"}

    @extend_schema(operation_id="preference_links_revoke", responses={200: asking_fields.PreferenceLinkSchema})
    def delete(self, request: Request, link_id: int) -> Response:
        """Make it useless, at once."""
        link = revoke_link(link_id=link_id, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_link(link))


class ConsentForms(APIView):
    """Lists hosted forms, and sets one up."""

    scope_resource = "consents"

    @extend_schema(operation_id="consent_forms_list", responses=fields.page_of(asking_fields.FormSchema, "FormPage"))
    def get(self, request: Request) -> Response:
        """Answer one page, by key."""
        return paginate(request, fetch=fetch_from(list_forms(), "key"), key=key_from("key"), present=present_form)

    @extend_schema(
        operation_id="consent_forms_create", request=asking_fields.NewForm, responses={201: asking_fields.FormSchema}
    )
    def post(self, request: Request) -> Response:
        """Set a form up."""
        given = fields.read_input(asking_fields.NewForm, request.data)
        key = given.pop("key")
        form = create_form(key=key, fields=given, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_form(form), status=status.HTTP_201_CREATED)


class OneConsentForm(APIView):
    """Reads and changes a hosted form."""

    scope_resource = "consents"

    @extend_schema(operation_id="consent_forms_read", responses=asking_fields.FormSchema)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the form."""
        return Response(present_form(get_form(key=key)))

    @extend_schema(
        operation_id="consent_forms_change", request=asking_fields.FormFields, responses=asking_fields.FormSchema
    )
    def patch(self, request: Request, key: str) -> Response:
        """Change what is given."""
        given = fields.read_input(asking_fields.FormFields, request.data, partial=True)
        form = change_form(key=key, fields=given, actor=principal_of(request).actor, now=timezone.now())
        return Response(present_form(form))


class SourceBanner(APIView):
    """Reads, sets up and takes away the banner of a browser source."""

    scope_resource = "consents"

    @extend_schema(operation_id="sources_banner", responses=asking_fields.BannerFields)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer the banner."""
        return Response(present_banner(get_banner(source_id=get_source_id(key=key))))

    @extend_schema(
        operation_id="sources_put_banner",
        request=asking_fields.BannerFields,
        responses={200: asking_fields.BannerFields, 201: asking_fields.BannerFields},
    )
    def put(self, request: Request, key: str) -> Response:
        """Set it up, or change it."""
        given = fields.read_input(asking_fields.BannerFields, request.data)
        banner, created = put_banner(
            source_id=get_source_id(key=key),
            fields=given,
            actor=principal_of(request).actor,
            now=timezone.now(),
        )
        return Response(present_banner(banner), status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)

    @extend_schema(operation_id="sources_delete_banner", responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Take it away."""
        delete_banner(source_id=get_source_id(key=key), actor=principal_of(request).actor, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class ConsentMode(APIView):
    """Tells Google's consent mode as it stands for a profile."""

    scopes = {"GET": "consents:read"}

    @extend_schema(operation_id="profiles_consent_mode", responses=asking_fields.ModeSchema)
    def get(self, request: Request, profile_id: str) -> Response:  # noqa: ARG002 - Django's signature
        """Answer every signal; one that no purpose is mapped to, or nobody decided on, is unknown."""
        person = get_by_uuid(public_id=profile_id)
        return Response({"signals": read_consent_mode(profile_id=person.profile_id, now=timezone.now())})
