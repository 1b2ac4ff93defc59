"""Addresses of the REST API of this app."""

from django.urls import path

from consent.api import consents, field_tags, importing, privacy, purposes, ways_in

urlpatterns = [
    path("purposes", purposes.Purposes.as_view()),
    path("purposes/<str:key>", purposes.OnePurpose.as_view()),
    path("purposes/<str:key>/signals", ways_in.SignalsOfPurpose.as_view()),
    path("field-tags", field_tags.FieldTags.as_view()),
    path("field-tags/uncovered", field_tags.UncoveredFields.as_view()),
    path("field-tags/<int:tag_id>", field_tags.OneFieldTag.as_view()),
    path("field-overrides", field_tags.FieldOverrides.as_view()),
    path("field-overrides/<int:override_id>", field_tags.OneFieldOverride.as_view()),
    path("consents/tcf", ways_in.RecordTcString.as_view()),
    path("preference-links", ways_in.PreferenceLinks.as_view()),
    path("preference-links/<int:link_id>", ways_in.OnePreferenceLink.as_view()),
    path("consent-forms", ways_in.ConsentForms.as_view()),
    path("consent-forms/<str:key>", ways_in.OneConsentForm.as_view()),
    path("consent-imports", importing.ConsentImports.as_view()),
    path("consent-imports/<int:import_id>", importing.OneConsentImport.as_view()),
    path("consent-imports/<int:import_id>/rows", importing.ConsentImportRows.as_view()),
    path("sources/<str:key>/banner", ways_in.SourceBanner.as_view()),
    path("profiles/<str:profile_id>/consent-mode", ways_in.ConsentMode.as_view()),
    path("notices", purposes.Notices.as_view()),
    path("consents", consents.Consents.as_view()),
    path("consents/check", consents.CheckConsent.as_view()),
    path("consents/<int:decision_id>/evidence", consents.SettleConflict.as_view()),
    path("profiles/<str:profile_id>/consents", consents.ProfileConsents.as_view()),
    path("privacy-requests", privacy.PrivacyRequests.as_view()),
    path("privacy-requests/<uuid:request_id>", privacy.OnePrivacyRequest.as_view()),
    path("privacy-requests/<uuid:request_id>/preview", privacy.PreviewErasure.as_view()),
    path("privacy-requests/<uuid:request_id>/approve", privacy.ApprovePrivacyRequest.as_view()),
    path("privacy-requests/<uuid:request_id>/reject", privacy.RejectPrivacyRequest.as_view()),
    path("privacy-requests/<uuid:request_id>/extend", privacy.ExtendPrivacyRequest.as_view()),
    path("privacy-requests/<uuid:request_id>/cancel", privacy.CancelPrivacyRequest.as_view()),
    path("privacy-requests/<uuid:request_id>/package", privacy.PackageOfPrivacyRequest.as_view()),
    path("suppressions", privacy.Suppressions.as_view()),
    path("suppressions/<int:suppression_id>", privacy.OneSuppression.as_view()),
]
