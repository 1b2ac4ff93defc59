"""The part of a profile's page that shows its consents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from consent.decision import UNKNOWN
from consent.queries.current import current_consents
from consent.queries.purposes import list_purposes


class ConsentSection:
    """What stands for each purpose and channel; what nobody decided is shown as unknown."""

    key = "consents"
    title = "Consents"
    template = "consent/profile_panel.html"
    scope = "consents:read"
    is_wide = True

    def read(self, *, profile_ids: Sequence[int], now: datetime) -> Mapping[int, list[dict[str, Any]]]:
        """Return the rows of each profile, by purpose and channel."""
        purposes = list(list_purposes().order_by("name", "id"))
        held = current_consents(profile_ids=profile_ids, now=now)
        shown = {}
        for profile_id in profile_ids:
            cells = {(one.decision.purpose.key, one.decision.channel): one for one in held.get(profile_id, [])}
            rows = []
            for purpose in purposes:
                channels = sorted({channel for key, channel in cells if key == purpose.key} | set(purpose.channels))
                for channel in channels or [""]:
                    one = cells.get((purpose.key, channel)) or cells.get((purpose.key, ""))
                    rows.append(
                        {
                            "purpose": purpose.key,
                            "purpose_name": purpose.name,
                            "channel": channel,
                            "state": one.state if one else UNKNOWN,
                            "conflict": one.conflict if one else False,
                            "since": one.decision.effective_at if one else None,
                        }
                    )
            shown[profile_id] = rows
        return shown
