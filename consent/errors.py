"""The faults of consent and privacy; no message holds personal data."""

from cdp.core.errors import CdpError, Conflict, InvalidInput, NotFound


class ConsentError(CdpError):
    """Base of the errors of this app that stem from the pure rules."""

    code = "consent.error"


class UnknownState(ConsentError):
    """A decision names a state that cannot be recorded."""

    code = "consent.unknown_state"
    title = "This state cannot be recorded"

    def __init__(self, state: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(f"A decision's state is one of {', '.join(allowed)}.")
        self.state = state
        self.allowed = allowed


TCF_FAULTS = {
    "empty": "The consent string is empty.",
    "too_long": "The consent string is longer than 16 384 characters.",
    "not_base64": "The consent string holds a character that is none of base64url.",
    "truncated": "The consent string ends in the middle of a field.",
    "trailing_data": "The consent string holds more than its fields.",
    "wrong_version": "The consent string is not of version 2 of the framework.",
    "bad_letters": "The consent string's language or country is not two letters.",
    "bad_range": "The consent string holds a range of vendors that is none.",
    "bad_restriction": "The consent string holds a publisher restriction that the framework does not know.",
    "unknown_segment": "The consent string holds a segment of an unknown kind.",
    "repeated_segment": "The consent string holds a segment twice.",
}


class UnreadableTcString(ConsentError):
    """A transparency and consent string that cannot be read in whole; nothing of it counts."""

    title = "The consent string cannot be read"

    def __init__(self, fault: str) -> None:
        super().__init__(f"{TCF_FAULTS[fault]} Send the string exactly as the consent tool gave it.")
        self.code = f"consent.tcf_{fault}"
        self.fault = fault


class VoidTcString(ConsentError):
    """A transparency and consent string that breaks rules of the framework, so that it says nothing."""

    code = "consent.tcf_void"
    title = "The consent string does not count"

    def __init__(self, flags: tuple[str, ...]) -> None:
        super().__init__(
            f"The consent string breaks rules of the framework: {', '.join(flags)}. Ask the person again with a "
            "consent tool that follows the present version."
        )
        self.flags = flags


class UnknownPurpose(NotFound):
    """A purpose that does not exist."""

    code = "consent.unknown_purpose"
    title = "Unknown purpose"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no purpose {key!r}. GET /api/v1/purposes lists them.")
        self.key = key


class UnknownChannel(InvalidInput):
    """A channel that the purpose does not have."""

    code = "consent.unknown_channel"
    title = "Unknown channel"

    def __init__(self, channel: str, *, allowed: list[str]) -> None:
        known = ", ".join(allowed) if allowed else "none"
        super().__init__(f"The purpose has no channel {channel!r}. Its channels: {known}.")
        self.channel = channel


class UnknownNotice(NotFound):
    """A notice, or a version of it, that does not exist."""

    code = "consent.unknown_notice"
    title = "Unknown notice"


class UnknownDecision(NotFound):
    """No such entry in the ledger."""

    code = "consent.unknown_decision"
    title = "Unknown decision"

    def __init__(self) -> None:
        super().__init__("There is no consent decision with this id.")


class PurposeExists(Conflict):
    """A purpose with this key exists already, with other properties."""

    code = "consent.purpose_exists"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is a purpose {key!r} already. Change it by PATCH /api/v1/purposes/{key}.")


class Suppressed(Conflict):
    """A grant for somebody who was erased."""

    code = "consent.suppressed"
    title = "This identifier is suppressed"

    def __init__(self) -> None:
        super().__init__(
            "This identifier is suppressed after an erasure. Lift the suppression with a reason before a grant."
        )


class LinkGone(NotFound):
    """A link that does not exist, was used or revoked, or has expired: which of these, nobody is told."""

    code = "consent.link_gone"
    title = "This link does not work any more"

    def __init__(self) -> None:
        super().__init__("This link was used or revoked, or has expired. Ask for a new one.")


class UnknownLink(NotFound):
    """No such link."""

    code = "consent.unknown_link"
    title = "Unknown link"

    def __init__(self) -> None:
        super().__init__("There is no preference link with this id.")


class UnknownConsentImport(NotFound):
    """No such import."""

    code = "consent.unknown_import"
    title = "Unknown import"

    def __init__(self) -> None:
        super().__init__("There is no import of consents with this id.")


class UnknownForm(NotFound):
    """No such form, or it is switched off."""

    code = "consent.unknown_form"
    title = "Unknown form"

    def __init__(self) -> None:
        super().__init__("There is no form with this key.")


class FormExists(Conflict):
    """A form with this key exists already."""

    code = "consent.form_exists"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is a form {key!r} already. Change it by PATCH /api/v1/consent-forms/{key}.")


class UnknownBanner(NotFound):
    """The source has no banner."""

    code = "consent.unknown_banner"
    title = "Unknown banner"

    def __init__(self) -> None:
        super().__init__("This source has no banner. PUT /api/v1/sources/KEY/banner makes one.")


class UnknownSource(NotFound):
    """No such source."""

    code = "consent.unknown_source"
    title = "Unknown source"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no source {key!r}. GET /api/v1/sources lists them.")
        self.key = key


class NoIdentifier(Conflict):
    """A profile that nothing names, so that no link can be made for it."""

    code = "consent.no_identifier"

    def __init__(self) -> None:
        super().__init__("This profile has no identifier, so there is nobody whom a link could be sent to.")


class UnknownRequest(NotFound):
    """No such privacy request."""

    code = "privacy.unknown_request"
    title = "Unknown privacy request"

    def __init__(self) -> None:
        super().__init__("There is no privacy request with this id.")


class WrongStatus(Conflict):
    """The request's status does not allow this step."""

    code = "privacy.wrong_status"
    title = "The request's status does not allow this"

    def __init__(self, *, status: str, allowed: str) -> None:
        super().__init__(f"The request is {status}; this is possible only while it is {allowed}.")
        self.status_now = status


class NothingToCorrect(Conflict):
    """A rectification that does not say what is right."""

    code = "privacy.nothing_to_correct"
    title = "Nothing to correct"

    def __init__(self) -> None:
        super().__init__(
            'This rectification names no correction. Add them by PATCH {"corrections": [{"trait", "value"}]}, or on '
            "the request's page."
        )


class RecipientsLeft(Conflict):
    """An erasure cannot be tried again where nothing is left to erase: recipients are to be told."""

    code = "privacy.recipients_left"

    def __init__(self) -> None:
        super().__init__(
            "Everything here is erased. Tell the recipients that are left and mark them as told, or say why not."
        )


class SecondApprovalNeeded(Conflict):
    """Two people have to approve, and one of them tried twice."""

    code = "privacy.second_approval_needed"
    title = "Somebody else has to approve"

    def __init__(self) -> None:
        super().__init__("You have approved this request. Somebody else has to approve it as well.")


class RequestTakenOver(Conflict):
    """Another worker carries the request out."""

    code = "privacy.taken_over"

    def __init__(self) -> None:
        super().__init__("Another worker carries this request out.")


class UnknownLetter(NotFound):
    """No such letter."""

    code = "privacy.unknown_letter"
    title = "Unknown letter"

    def __init__(self) -> None:
        super().__init__("This request has no letter with this id.")


class NoPackage(NotFound):
    """A request without a copy of the data."""

    code = "privacy.no_package"
    title = "There is no package"

    def __init__(self) -> None:
        super().__init__("No package was made. One is made when a request for access or portability is approved.")


class NoContact(Conflict):
    """A person whose e-mail address is not known."""

    code = "privacy.no_contact"
    title = "No address is known"

    def __init__(self) -> None:
        super().__init__(
            "No e-mail address of the person is known. Add one as contact, or check otherwise who they are."
        )


class PersonNotTold(Conflict):
    """A restriction that would end without the person's knowledge."""

    code = "privacy.person_not_told"
    title = "The person must be told before"

    def __init__(self) -> None:
        super().__init__("No e-mail address of the person is known. Tell them otherwise, then say person_told.")


class PackageGone(NotFound):
    """A package that was taken, or whose time is up."""

    code = "privacy.package_gone"
    status = 410
    title = "The package is gone"

    def __init__(self) -> None:
        super().__init__("The package was taken, or its time is up. It works once; make a new one if it is needed.")


class NotAProcessor(ConsentError):
    """A callback in the name of a domain that nobody is told at, or whose certificate cannot be believed."""

    code = "opendsr.not_a_processor"
    status = 401
    title = "Not a known processor"

    def __init__(self) -> None:
        super().__init__("No recipient is told by OpenDSR at this domain with a certificate that can be believed.")


class BadSignature(ConsentError):
    """A callback that its processor's certificate did not sign."""

    code = "opendsr.bad_signature"
    status = 403
    title = "The signature is wrong"

    def __init__(self) -> None:
        super().__init__("The signature does not belong to this body and the processor's certificate.")


class UnknownRegulation(NotFound):
    """No such regulation."""

    code = "regulation.unknown"
    title = "Unknown regulation"

    def __init__(self) -> None:
        super().__init__("There is no regulation with this id.")


class UnknownSuppression(NotFound):
    """No such suppression."""

    code = "suppression.unknown"
    title = "Unknown suppression"

    def __init__(self) -> None:
        super().__init__("There is no suppression with this id.")


class UnknownFieldTag(NotFound):
    """No field has a tag with this id."""

    code = "consent.unknown_field_tag"

    def __init__(self) -> None:
        super().__init__("There is no tag with this id. GET /api/v1/field-tags lists them.")


class UnknownFieldOverride(NotFound):
    """No leave to use a field has this id."""

    code = "consent.unknown_field_override"

    def __init__(self) -> None:
        super().__init__("There is no leave with this id. GET /api/v1/field-overrides lists them.")


class UnknownWebhook(NotFound):
    """No webhook has this id."""

    code = "consent.unknown_webhook"

    def __init__(self) -> None:
        super().__init__("There is no webhook with this id. GET /api/v1/consent-webhooks lists them.")
