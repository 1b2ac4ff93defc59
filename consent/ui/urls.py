"""Addresses of the pages of consent and privacy."""

from django.urls import path

from consent.ui import asking, consents, importing, privacy, public

urlpatterns = [
    path("consent", consents.purposes, name="purposes"),
    path("consent/standings", consents.standings, name="consent_standings"),
    path("consent/conflicts", consents.conflicts, name="consent_conflicts"),
    path("consent/conflicts/<int:decision_id>/settle", consents.settle, name="settle_conflict"),
    path("consent/purposes/new", consents.create, name="create_purpose"),
    path("consent/purposes/<slug:key>", consents.purpose, name="purpose"),
    path("consent/purposes/<slug:key>/change", consents.change, name="change_purpose"),
    path("consent-forms", asking.forms, name="consent_forms"),
    path("consent-forms/new", asking.create, name="create_consent_form"),
    path("consent-forms/<slug:key>", asking.one_form, name="consent_form"),
    path("consent-imports", importing.imports, name="consent_imports"),
    path("consent-imports/<int:import_id>", importing.one_import, name="consent_import"),
    path("consent-imports/<int:import_id>/progress", importing.progress, name="consent_import_progress"),
    path("preference-links", asking.links, name="preference_links"),
    path("preference-links/<int:link_id>/revoke", asking.revoke, name="revoke_preference_link"),
    path("profiles/<uuid:public_id>/preference-link", asking.make_link, name="make_preference_link"),
    path("notices", consents.notices, name="notices"),
    path("notices/<slug:key>/<str:language>/<int:version>", consents.notice, name="notice"),
    path("profiles/<uuid:public_id>/decide", consents.record, name="record_decision"),
    path("privacy-requests", privacy.privacy_requests, name="privacy_requests"),
    path("privacy-requests/new", privacy.create, name="create_privacy_request"),
    path("privacy-requests/<uuid:request_id>", privacy.privacy_request, name="privacy_request"),
    path("privacy-requests/<uuid:request_id>/preview", privacy.preview, name="privacy_preview"),
    path("privacy-requests/<uuid:request_id>/progress", privacy.progress, name="privacy_progress"),
    path("privacy-requests/<uuid:request_id>/approve", privacy.approve, name="approve_privacy_request"),
    path("privacy-requests/<uuid:request_id>/reject", privacy.reject, name="reject_privacy_request"),
    path("privacy-requests/<uuid:request_id>/extend", privacy.extend, name="extend_privacy_request"),
    path("preferences/<str:token>", public.preferences, name="public_preferences"),
    path("unsubscribe/<str:token>", public.one_unsubscribe, name="public_unsubscribe"),
    path("confirm/<str:token>", public.one_confirm, name="public_confirm"),
    path("forms/<slug:key>", public.one_form, name="public_form"),
    path(".well-known/gpc.json", public.gpc_support, name="gpc_support"),
    path("suppressions", privacy.suppressions, name="suppressions"),
    path("suppressions/<int:suppression_id>/lift", privacy.lift, name="lift_suppression"),
]
