"""The sentences of public pages; one value of `Words` for each language."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """All sentences of one language. `{...}` in a text is filled by `str.format`."""

    code: str
    own_name: str
    language: str
    save: str
    send: str
    page_gone_title: str
    page_gone: str
    preferences_title: str
    preferences_intro: str
    preferences_saved: str
    withdraw_all: str
    withdraw_all_hint: str
    receipt: str
    receipt_hint: str
    nothing_to_choose: str
    all_channels: str
    channel_email: str
    channel_sms: str
    channel_push: str
    channel_phone: str
    channel_post: str
    channel_ads: str
    unsubscribe_title: str
    unsubscribe_ask: str
    unsubscribe_button: str
    unsubscribe_done_title: str
    unsubscribe_done: str
    confirm_title: str
    confirm_ask: str
    confirm_button: str
    confirm_done_title: str
    confirm_done: str
    form_email: str
    form_phone: str
    form_choose: str
    form_leave_empty: str
    form_sent_title: str
    form_sent: str
    form_sent_confirm: str
    form_fault_title: str
    form_fault_identifier: str
    form_fault_choice: str
    form_busy: str
    mail_subject: str
    mail_body: str
    banner_title: str
    banner_intro: str
    banner_accept: str
    banner_refuse: str
    banner_choose: str
    banner_save: str
    banner_close: str
    banner_policy: str
    banner_gpc: str

    def channel(self, channel: str) -> str:
        """Return the name of a channel; of one that has none here, its key."""
        if not channel:
            return self.all_channels
        return str(getattr(self, f"channel_{channel}", channel))


@dataclass(frozen=True, slots=True)
class IntakeWords:
    """The sentences of the pages on which people ask for their rights, in one language."""

    title: str
    intro: str
    ask: str
    types: Mapping[str, str]
    email: str
    message: str
    message_hint: str
    ccpa: str
    sent_title: str
    sent: str
    code: str
    code_button: str
    code_wrong: str
    confirm_title: str
    confirm_ask: str
    confirm_button: str
    confirmed_title: str
    confirmed: str
    copy_title: str
    copy_ask: str
    copy_button: str
