"""What can go wrong with profiles, identifiers and merges."""

from cdp.core.errors import CdpError, Conflict, InvalidInput, NotFound, Unavailable


class BadIdentifier(InvalidInput):
    """An identifier that no profile can have."""

    code = "identity.bad_identifier"
    title = "This is no identifier"


class NoSuchProfile(NotFound):
    """No live profile has this id or identifier."""

    code = "profile.not_found"


class NoSuchMerge(NotFound):
    """No merge has this id."""

    code = "merge.not_found"


class BadMerge(InvalidInput):
    """A merge needs two different, live profiles."""

    code = "merge.invalid"


class CannotUndo(Conflict):
    """The merge was undone before, is still moving events, or its profiles are gone."""

    code = "merge.cannot_undo"


class BusyProfile(Conflict):
    """Events of the profile are being moved, or it is being erased."""

    code = "profile.busy"
    title = "This profile cannot be joined or separated now"


class NoSuchEdge(NotFound):
    """No edge, or no blocked one, has this id."""

    code = "edge.not_found"


class BadBlock(InvalidInput):
    """Two profiles can only be declared different while they are two."""

    code = "block.invalid"


class BadSplit(InvalidInput):
    """The identifiers to split off are not those of the profile, or are all of them."""

    code = "split.invalid"


class NoSuchGroup(NotFound):
    """No group call named this id."""

    code = "group.not_found"


class BadRates(InvalidInput):
    """Exchange rates that are none."""

    code = "rates.invalid"
    title = "These are no exchange rates"


class NoSuchRate(NotFound):
    """No exchange rate has this id."""

    code = "rates.not_found"


class BadTraitRules(InvalidInput):
    """Rules of survivorship that cannot be used."""

    code = "trait_rules.invalid"
    title = "These are no rules for traits"


class BadCorrection(InvalidInput):
    """A correction that no profile can hold."""

    code = "correction.invalid"
    title = "This is no correction"


class RestrictedProfile(CdpError):
    """Processing of this person is restricted: what is stored stays as it is (GDPR Art. 18)."""

    code = "profile.restricted"
    status = 423
    title = "Processing is restricted"

    def __init__(self) -> None:
        super().__init__("Processing of this person is restricted: nothing about them is changed until that is lifted.")


class NoSuchCorrection(NotFound):
    """No correction of this profile that stands has this id."""

    code = "correction.not_found"


class BadTrait(InvalidInput):
    """No trait can have this name."""

    code = "trait.invalid"
    title = "This is no trait"


class InvalidRules(InvalidInput):
    """Identity rules with faults, each named with its path."""

    code = "rules.invalid"
    title = "These rules cannot be used"


class RulesConflict(Conflict):
    """Somebody saved other rules meanwhile."""

    code = "rules.conflict"


class NoSuchRulesVersion(NotFound):
    """No version of the rules has this number."""

    code = "rules.no_version"


class NoSuchRun(NotFound):
    """No run of rules has this id."""

    code = "rules.no_run"


class NotQuarantined(NotFound):
    """No value in quarantine has this id."""

    code = "rules.not_quarantined"


class TraitIsSealed(InvalidInput):
    """A trait that is stored encrypted is to be compared, which only its plain value could be."""

    code = "profiles.trait_is_sealed"
    title = "The trait is stored encrypted"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"The trait {name} is stored encrypted: what compares its values cannot be used with it. Its sensitivity "
            "under Fields decides this."
        )


class MatchingIsOff(Unavailable):
    """Fuzzy matching needs packages that could not be compiled here."""

    code = "matching.off"
    title = "Fuzzy matching is off"


class ClusterFailed(Unavailable):
    """The Spark cluster of matching is not there, or failed."""

    code = "matching.cluster_failed"
    title = "The Spark cluster failed"


class ChallengerIsOff(Unavailable):
    """Splink's packages are not installed."""

    code = "matching.challenger_off"
    title = "Splink is not installed"


class ChallengerFailed(Unavailable):
    """Splink could not be fitted to the records of a model."""

    code = "matching.challenger_failed"
    title = "Splink could not be fitted"


class BadModel(InvalidInput):
    """A matching model's definition, or what it is asked to do, has faults."""

    code = "matching.invalid"
    title = "The matching model is not valid"


class ModelExists(Conflict):
    """A matching model of this key exists, with another definition."""

    code = "matching.model_exists"


class NoSuchModel(NotFound):
    """No matching model has this key."""

    code = "matching.no_model"


class NoSuchMatchRun(NotFound):
    """The matching model has no such run."""

    code = "matching.no_run"


class NoSuchCandidate(NotFound):
    """No pair in the review queue has this id."""

    code = "matching.no_candidate"


class NotTrained(Conflict):
    """The model must be trained before it can match."""

    code = "matching.not_trained"


class AlreadyDecided(Conflict):
    """Somebody has decided this pair, or one of its profiles is gone."""

    code = "matching.already_decided"


class TraitIsCompared(Conflict):
    """A trait is to be stored encrypted, but somebody compares its values."""

    code = "profiles.trait_is_compared"
    title = "The trait is in use"

    def __init__(self, name: str, users: list[str]) -> None:
        self.name, self.users = name, users
        shown = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
        super().__init__(f"The trait {name} is compared by {shown}. Take it out there, or archive them, first.")
