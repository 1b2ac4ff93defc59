"""What the banner of a website asks."""

from typing import Any

from cdp.core.registries import source_keys
from consent.asking_models import Banner
from consent.errors import UnknownBanner, UnknownSource
from consent.models import Purpose
from consent.queries.asking import find_notice, word
from consent.words.catalogue import Words
from consent.words.choosing import choose_words


def find_banner(*, source_id: int) -> Banner | None:
    """Return the banner of a source."""
    return Banner.objects.filter(source_id=source_id).first()


def get_banner(*, source_id: int) -> Banner:
    """Return the banner of a source.

    Raises
    ------
    UnknownBanner
        If it has none.
    """
    found = find_banner(source_id=source_id)
    if found is None:
        raise UnknownBanner
    return found


def read_banner(*, source_id: int, asked: str | None, accept: str) -> dict[str, Any] | None:
    """Return what the banner of a source says and asks (three statements); None if there is none.

    Parameters
    ----------
    asked : str or None
        The language of the page.
    accept : str
        The browser's header Accept-Language.
    """
    words = choose_words(asked=asked, accept=accept)
    banner = find_banner(source_id=source_id)
    if banner is None or not banner.enabled:
        return None
    found = {purpose.key: purpose for purpose in Purpose.objects.filter(key__in=banner.purposes)}
    purposes = [found[key] for key in banner.purposes if key in found]
    notice = find_notice(key=banner.notice_key, language=words.code)
    return {
        "language": words.code,
        "purposes": [_present(purpose, words) for purpose in purposes],
        "notice": f"{notice.key}/{notice.language}/{notice.version}" if notice is not None else "",
        "text": notice.text if notice is not None else "",
        "policy": banner.policy_url,
        "words": {
            "title": words.banner_title,
            "intro": words.banner_intro,
            "accept": words.banner_accept,
            "refuse": words.banner_refuse,
            "choose": words.banner_choose,
            "save": words.banner_save,
            "close": words.banner_close,
            "policy": words.banner_policy,
            "gpc": words.banner_gpc,
        },
    }


def get_source_id(*, key: str) -> int:
    """Return the id of a source.

    Raises
    ------
    UnknownSource
        If no source has this key.
    """
    for read in source_keys:
        for source_id, known in read().items():
            if known == key:
                return source_id
    raise UnknownSource(key)


def list_banners() -> dict[int, Banner]:
    """Return all banners by source."""
    return {banner.source_id: banner for banner in Banner.objects.all()}


def _present(purpose: Purpose, words: Words) -> dict[str, Any]:
    ask = word(purpose, "", words)
    return {
        "key": purpose.key,
        "name": ask.name,
        "description": ask.description,
        "categories": purpose.consent_categories or [purpose.key],
        "mode": purpose.consent_mode,
        "gpc": purpose.gpc,
    }
