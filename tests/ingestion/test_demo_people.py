# ruff: noqa: DTZ001 - the data's times name no zone
"""The invented side of the demo."""

from collections import Counter
from datetime import date, datetime
from uuid import uuid5

import phonenumbers
import pytest

from ingestion.demo.messages import NAMESPACE, message_id
from ingestion.demo.people import Household, card_number, invent_household
from ingestion.demo.shifting import Shift, shift_to_yesterday

YEAR = {"first_day": date(2017, 1, 1), "last_day": date(2018, 1, 1)}


@pytest.fixture(scope="module")
def people() -> list[Household]:
    return [invent_household(number, **YEAR) for number in range(1, 2501)]


def test_invents_the_same_people_each_time(people: list[Household]) -> None:
    assert invent_household(7, **YEAR) == people[6]
    assert people[6] != people[7]


def test_gives_every_card_a_number_with_a_valid_check_digit() -> None:
    # EAN-13 by hand for 290000000001: odd places 2+0+0+0+0+0 = 2, even places 9+0+0+0+0+1 = 10; 2 + 3·10 = 32 → 8.
    assert card_number(1) == "2900000000018"


def test_shares_no_address_or_number_between_households(people: list[Household]) -> None:
    holders: dict[str, set[int]] = {}
    for household in people:
        addresses = {household.email, household.phone}
        for account in household.accounts:
            addresses |= {account.email, account.later_email, account.user_id}
        for address in addresses - {""}:
            holders.setdefault(address, set()).add(household.id)
    assert [address for address, ids in holders.items() if len(ids) > 1] == []


def test_invents_contacts_that_can_reach_nobody(people: list[Household]) -> None:
    for household in people:
        for address in (household.email, *(account.later_email for account in household.accounts)):
            assert not address or address.endswith(("example.com", "example.net", "example.org"))
        if household.phone:
            assert phonenumbers.is_valid_number(phonenumbers.parse(household.phone))
            assert household.phone[5:10] == "55501"  # 555-0100 … 555-0199 are kept for fiction


def test_puts_about_sixty_percent_online_some_with_two_addresses_or_two_accounts(people: list[Household]) -> None:
    online = [household for household in people if household.accounts]
    assert 0.57 < len(online) / len(people) < 0.63
    assert any(len(household.accounts) == 2 for household in online)
    assert sum(any(account.later_email for account in household.accounts) for household in online) > 50
    assert sum(len(household.accounts[0].devices) > 1 for household in online) > len(online) / 2


def test_has_choices_given_refused_withdrawn_and_never_made(people: list[Household]) -> None:
    kinds: Counter[str] = Counter()
    for household in people:
        marketing = [choice.categories["marketing"] for choice in household.choices]
        kinds[" then ".join({True: "given", False: "refused"}[one] for one in marketing) or "never asked"] += 1
        assert [choice.at for choice in household.choices] == sorted(choice.at for choice in household.choices)
    assert set(kinds) == {"given", "refused", "given then refused", "refused then given", "never asked"}
    assert min(kinds.values()) > 40


def test_keeps_everything_inside_the_data_s_year(people: list[Household]) -> None:
    end = datetime(2018, 1, 1, 3)
    for household in people:
        times = [choice.at for choice in household.choices]
        for account in household.accounts:
            times.append(account.created_at)
            times += [device.first_seen_at for device in account.devices]
            times += [device.login_at for device in account.devices if device.login_at]
        assert all(datetime(2017, 1, 1) <= at <= end for at in times)


def test_moves_the_last_day_to_yesterday_by_whole_days() -> None:
    shift = shift_to_yesterday(last_day=date(2018, 1, 1), today=date(2026, 3, 1))
    assert shift.iso(datetime(2018, 1, 1, 4, 1, 20)) == "2026-02-28T04:01:20.000Z"
    assert shift.iso_date(datetime(2017, 12, 31)) == "2026-02-27"
    assert shift_to_yesterday(last_day=date(2018, 1, 1), today=date(2018, 1, 2)) == Shift(0)


def test_names_messages_by_uuids_of_version_five() -> None:
    for number in range(200):
        assert message_id(f"order:{number}") == str(uuid5(NAMESPACE, f"order:{number}"))
