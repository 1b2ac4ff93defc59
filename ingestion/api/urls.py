"""Addresses of the REST API of this app."""

from django.urls import path

from ingestion.api import cleaning, debugger, imports, messages, plans, replays, sources, treatments

urlpatterns = [
    path("sources", sources.Sources.as_view()),
    path("sources/<str:key>", sources.OneSource.as_view()),
    path("sources/<str:key>/transformations", treatments.OneTransformations.as_view()),
    path("sources/<str:key>/transformations/versions", treatments.TransformationVersions.as_view()),
    path("sources/<str:key>/transformations/versions/<int:version>", treatments.OneTransformationVersion.as_view()),
    path("sources/<str:key>/transformations/preview", treatments.PreviewTransformations.as_view()),
    path("sources/<str:key>/messages", debugger.LatestMessages.as_view()),
    path("sources/<str:key>/messages/<int:row_id>", debugger.FollowMessage.as_view()),
    path("sources/<str:key>/cleaning", cleaning.OneCleaning.as_view()),
    path("sources/<str:key>/cleaning/versions", cleaning.CleaningVersions.as_view()),
    path("sources/<str:key>/cleaning/versions/<int:version>", cleaning.OneCleaningVersion.as_view()),
    path("sources/<str:key>/cleaning/preview", cleaning.PreviewCleaning.as_view()),
    path("tracking-plans", plans.TrackingPlans.as_view()),
    path("tracking-plans/<str:key>", plans.OnePlan.as_view()),
    path("tracking-plans/<str:key>/versions", plans.PlanVersions.as_view()),
    path("tracking-plans/<str:key>/versions/<int:version>", plans.OnePlanVersion.as_view()),
    path("tracking-plans/<str:key>/preview", plans.PreviewPlan.as_view()),
    path("tracking-plans/<str:key>/segment", plans.SegmentPlan.as_view()),
    path("tracking-plans/<str:key>/proposal", plans.ProposePlan.as_view()),
    path("tracking-plans/<str:key>/discovered", plans.ListDiscovered.as_view()),
    path("tracking-plans/<str:key>/violations", plans.ListFindings.as_view()),
    path("imports", imports.Imports.as_view()),
    path("imports/<str:import_id>", imports.OneImport.as_view()),
    path("imports/<str:import_id>/cancel", imports.CancelImport.as_view()),
    path("imports/<str:import_id>/undo", imports.UndoImport.as_view()),
    path("imports/<str:import_id>/rows", imports.ImportRows.as_view()),
    path("ingestion/status", messages.ReadStatus.as_view()),
    path("messages", messages.FindMessages.as_view()),
    path("messages/<path:message_id>", messages.ReadMessage.as_view()),
    path("replays", replays.Replays.as_view()),
    path("replays/<int:replay_id>", replays.OneReplay.as_view()),
    path("replays/<int:replay_id>/<slug:act>", replays.ChangeReplay.as_view()),
    path("quarantine/<int:row_id>/retry", replays.RetryQuarantined.as_view()),
    path("quarantine", messages.ListQuarantined.as_view()),
]
