"""Addresses of the pages of segments."""

from django.urls import path

from segments.ui import building, pages

urlpatterns = [
    path("segments", pages.segments, name="segments"),
    path("segments/new", building.create, name="create_segment"),
    path("segments/properties", building.property_names, name="segment_properties"),
    path("segments/<slug:key>", pages.segment, name="segment"),
    path("segments/<slug:key>/change", building.change, name="change_segment"),
    path("segments/<slug:key>/status", pages.change_status, name="change_segment_status"),
    path("segments/<slug:key>/members", pages.members, name="segment_members"),
    path("segments/<slug:key>/history", pages.changes, name="segment_changes"),
    path("segments/<slug:key>/sizes", pages.sizes, name="segment_sizes"),
    path("segments/<slug:key>/overlap", pages.overlap, name="segment_overlap"),
    path("segments/<slug:key>/explain/<uuid:public_id>", pages.explain, name="explain_membership"),
]
