"""What a string is worth: the policies' own rules about strings that can be read, and what they mean for purposes."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time

from consent.tcf.decode import NOT_ALLOWED, REQUIRE_LEGITIMATE_INTEREST, TcString

# Version 2.2 of the policies: policy version 4, in force for strings made after this day.
POLICY_2_2 = 4
POLICY_2_2_AFTER = datetime(2023, 10, 1, tzinfo=UTC)
# Since then times are those of a day, so that a string does not single out a person.
DAYS_ONLY_SINCE = datetime(2021, 12, 1, tzinfo=UTC)
# Version 2.3: a string made from then on without its disclosed vendors is void.
DISCLOSED_SINCE = datetime(2026, 3, 1, tzinfo=UTC)
CONSENT_ONLY = (3, 4, 5, 6)
STORAGE = 1

GLOBAL_SCOPE = "global_scope"
OLD_POLICY = "old_policy"
NOT_A_DAY = "not_a_day"
LEGITIMATE_INTEREST = "legitimate_interest_not_allowed"
DISCLOSED_MISSING = "disclosed_vendors_missing"
DELETED_CMP = "deleted_cmp"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`flags` names every rule that the string breaks; `counts` tells whether it may be heeded all the same."""

    flags: tuple[str, ...]
    counts: bool


def judge(tc: TcString, *, deleted_cmps: Collection[int] = ()) -> Judgement:
    """Say which rules of the policies a string breaks.

    Parameters
    ----------
    deleted_cmps : collection of int
        Consent tools that the register no longer lists.

    Notes
    -----
    A string that breaks a rule says nothing, neither yes nor no. The one exception: disclosed vendors that are missing
    are flagged always, but void only a string made since they are mandatory.
    """
    flags = []
    if not tc.service_specific:
        flags.append(GLOBAL_SCOPE)
    if tc.policy_version < POLICY_2_2 and tc.created_at >= POLICY_2_2_AFTER:
        flags.append(OLD_POLICY)
    is_day = tc.created_at == tc.updated_at and tc.created_at.timetz() == time(0, tzinfo=UTC)
    if not is_day and tc.updated_at >= DAYS_ONLY_SINCE:
        flags.append(NOT_A_DAY)
    if tc.policy_version >= POLICY_2_2 and any(purpose in tc.legitimate_interests for purpose in CONSENT_ONLY):
        flags.append(LEGITIMATE_INTEREST)
    if tc.cmp_id in deleted_cmps:
        flags.append(DELETED_CMP)
    voids = bool(flags)
    if tc.disclosed_vendors is None:
        flags.append(DISCLOSED_MISSING)
        voids = voids or tc.created_at >= DISCLOSED_SINCE
    return Judgement(tuple(flags), not voids)


def read_answer(tc: TcString, *, purposes: Collection[int], vendor_id: int | None = None) -> bool | None:
    """Return what a string says on one of our purposes.

    Parameters
    ----------
    purposes : collection of int
        The TCF purposes that ours needs, all of them.
    vendor_id : int, optional
        Our number in the Global Vendor List; with it the person must have allowed this vendor, too, and the
        publisher must not have restricted it.

    Returns
    -------
    bool or None
        None: the string does not say. Purpose 1 was not asked about where a country treats it otherwise.
    """
    asked = [purpose for purpose in purposes if not (purpose == STORAGE and tc.purpose_one_untreated)]
    if not purposes or len(asked) < len(purposes):
        return False if any(purpose not in tc.purposes for purpose in asked) else None
    if any(purpose not in tc.purposes for purpose in asked):
        return False
    if vendor_id is None:
        return True
    forbidden = any(
        restriction.purpose in asked
        and restriction.kind in {NOT_ALLOWED, REQUIRE_LEGITIMATE_INTEREST}
        and vendor_id in restriction.vendors
        for restriction in tc.restrictions
    )
    undisclosed = tc.disclosed_vendors is not None and vendor_id not in tc.disclosed_vendors
    return vendor_id in tc.vendors and not forbidden and not undisclosed
