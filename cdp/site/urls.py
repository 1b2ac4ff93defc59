"""Addresses of the pages."""

from django.urls import URLPattern, URLResolver, include, path

from cdp.site import pages

urlpatterns: list[URLPattern | URLResolver] = [
    path("", pages.overview, name="overview"),
    path("", include("profiles.ui.urls")),
    path("", include("consent.ui.urls")),
    path("", include("segments.ui.urls")),
    path("", include("ingestion.ui.urls")),
]
