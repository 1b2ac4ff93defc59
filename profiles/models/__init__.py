"""The tables of identity, traits and events. `docs/explanation/architecture.md` tells how they are written."""

from profiles import matching_models, sealed_models  # noqa: F401 - Django looks for models here
from profiles.models.graph import AbsorbedId, Edge, MegaProfile, Merge, QuarantinedValue, Refusal
from profiles.models.history import Change, ChangeKind, Event, EventType, Work, WorkInterest
from profiles.models.orders import ExchangeRate, Order, OrderMessage
from profiles.models.people import Activity, Group, GroupMembership, Identifier, IdentifierType, Profile
from profiles.models.rules import IdentitySettings, RulesExample, RulesRun, RulesRunProfile, RulesRunValue, RulesVersion
from profiles.models.sessions import Session, SessionGap
from profiles.models.traits import Correction, TraitRules

__all__ = [
    "AbsorbedId",
    "Activity",
    "Change",
    "ChangeKind",
    "Correction",
    "Edge",
    "Event",
    "EventType",
    "ExchangeRate",
    "Group",
    "GroupMembership",
    "Identifier",
    "IdentifierType",
    "IdentitySettings",
    "MegaProfile",
    "Merge",
    "Order",
    "OrderMessage",
    "Profile",
    "QuarantinedValue",
    "Refusal",
    "RulesExample",
    "RulesRun",
    "RulesRunProfile",
    "RulesRunValue",
    "RulesVersion",
    "Session",
    "SessionGap",
    "TraitRules",
    "Work",
    "WorkInterest",
]
