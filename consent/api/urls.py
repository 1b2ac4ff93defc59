"""Addresses of the REST API of this app."""

from django.urls import path

from consent.api import consents, privacy, purposes

urlpatterns = [
    path("purposes", purposes.Purposes.as_view()),
    path("purposes/<str:key>", purposes.OnePurpose.as_view()),
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
    path("suppressions", privacy.Suppressions.as_view()),
    path("suppressions/<int:suppression_id>", privacy.OneSuppression.as_view()),
]
