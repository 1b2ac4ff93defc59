"""Addresses of the pages of collection."""

from django.urls import path

from ingestion.ui import debugger, imports, inventory, messages, plans, quality, replays, sources, treatments

urlpatterns = [
    path("sources", sources.sources, name="sources"),
    path("sources/new", sources.create, name="create_source"),
    path("sources/<slug:key>", sources.source, name="source"),
    path("sources/<slug:key>/debugger", debugger.debugger, name="debugger"),
    path("sources/<slug:key>/debugger/rows", debugger.debugger_rows, name="debugger_rows"),
    path("sources/<slug:key>/transformations", treatments.transformations, name="transformations"),
    path("sources/<slug:key>/plan", plans.plan, name="plan"),
    path("sources/<slug:key>/plan/proposal", plans.propose, name="propose_plan"),
    path("sources/<slug:key>/plan/bring", plans.bring, name="bring_plan"),
    path("sources/<slug:key>/plan/segment.json", plans.give, name="give_plan"),
    path("sources/<slug:key>/plan/discovered", plans.discovered, name="discovered"),
    path("sources/<slug:key>/cleaning", treatments.cleaning, name="cleaning"),
    path("sources/<slug:key>/quality", quality.quality, name="quality"),
    path("sources/<slug:key>/quality/measure", quality.measure, name="measure_quality"),
    path("sources/<slug:key>/quality/messages", quality.offending, name="quality_messages"),
    path("sources/<slug:key>/quality/rules", quality.rules, name="quality_rules"),
    path("sources/<slug:key>/quality/rules/<int:rule_id>/delete", quality.remove_rule, name="delete_quality_rule"),
    path("inventory", inventory.inventory, name="inventory"),
    path("imports", imports.imports, name="imports"),
    path("imports/<int:import_id>", imports.one_import, name="import"),
    path("imports/<int:import_id>/progress", imports.import_progress, name="import_progress"),
    path("imports/<int:import_id>/rows", imports.import_rows, name="import_rows"),
    path("imports/<int:import_id>/cancel", imports.stop_import, name="cancel_import"),
    path("imports/<int:import_id>/undo", imports.take_back_import, name="undo_import"),
    path("inbox", messages.inbox, name="inbox"),
    path("messages", messages.messages, name="messages"),
    path("messages/find", messages.look_up, name="find_message"),
    path("messages/<int:row_id>", messages.message, name="message"),
    path("replays", replays.replays, name="replays"),
    path("replays/<int:replay_id>", replays.replay, name="replay"),
    path("replays/<int:replay_id>/progress", replays.progress, name="replay_progress"),
    path("replays/<int:replay_id>/<slug:act>", replays.change, name="change_replay"),
    path("quarantine/<int:row_id>/retry", replays.retry, name="retry_quarantined"),
    path("quarantine", messages.quarantine, name="quarantine"),
    path("quarantine/<int:row_id>", messages.quarantined, name="quarantined"),
]
