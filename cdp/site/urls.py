"""Addresses of the pages."""

from django.urls import URLPattern, URLResolver, include, path

from cdp.site import pages, record_pages
from cdp.site.api import records

urlpatterns: list[URLPattern | URLResolver] = [
    path("", pages.overview, name="overview"),
    path("records", record_pages.records, name="records"),
    path("records/editions/new", record_pages.make_edition, name="make_register_edition"),
    path("records/editions/<int:edition_id>", record_pages.edition, name="register_edition"),
    path("data-map", record_pages.data_map, name="data_map"),
    path("retention", record_pages.retention, name="retention"),
    path("retention/<slug:kind>/<str:name>/try", record_pages.try_retention, name="try_retention"),
    path("retention/<slug:kind>/<str:name>/end", record_pages.end_retention, name="end_retention"),
    path("disclosures", record_pages.disclosures, name="disclosures"),
    path("api/v1/processing-register", records.ProcessingRegister.as_view()),
    path("api/v1/processing-register/editions", records.RegisterEditions.as_view()),
    path("api/v1/data-map", records.DataMap.as_view()),
    path("api/v1/self-check", records.CheckSelf.as_view()),
    path("", include("profiles.ui.urls")),
    path("", include("consent.ui.urls")),
    path("", include("segments.ui.urls")),
    path("", include("ingestion.ui.urls")),
]
