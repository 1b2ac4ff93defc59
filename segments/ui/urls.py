"""Addresses of the pages of segments."""

from django.urls import path

from segments.ui import pages

urlpatterns = [
    path("segments", pages.segments, name="segments"),
    path("segments/new", pages.segments, name="create_segment"),
    path("segments/<slug:key>", pages.segments, name="segment"),
]
