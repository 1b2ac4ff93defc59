"""The walk over every address: everybody asks by every method, and what they are answered is written as a table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from django.db import transaction
from django.test import Client
from guardian.shortcuts import assign_perm

from cdp.core.access import ADMINISTRATOR, ALL_SCOPES, expand_scopes
from cdp.core.models import ApiKey, User
from cdp.core.services.accounts import create_user
from cdp.core.services.api_keys import KeyLimits, create_api_key
from tests.architecture.objects import World
from tests.architecture.rights import ANY, METHODS, Address, Line
from tests.world import NOW, PASSWORD, key_with, signed_in

ROLES = {"N": None, "S": "cy", "M": "ana", "I": "ivo", "O": "ben", "A": "ada"}
RIGHTS = {"view": ["view"], "change": ["view", "change"], "delete": ["view", "change", "delete"]}
NOT_ALLOWED, NOT_FOUND, REFUSED, MOVED = 405, 404, 400, 302
TURNED_AWAY = {401, 403}
SIGN_IN, AWAY = "/admin/login/", "/admin/"
# Where the object is there, and what is asked about it is not.
ABSENT = {
    "api/v1/segments/<str:key>/versions/<int:version>/diff": "none was before the first",
    "api/v1/privacy-requests/<uuid:request_id>/package": "nothing is packed",
    "api/v1/privacy-requests/<uuid:request_id>/proof": "nothing is erased",
    "api/v1/sources/<str:key>/banner": "a server has none",
}
# A key opens it that has every scope, and none that has a single one.
SEVERAL = "several"
# Somebody else's server did not answer.
WELL_SAID = {502}


@dataclass(frozen=True)
class Answer:
    """What somebody was answered."""

    status: int
    leads_to: str
    body: bytes

    @property
    def is_let_in(self) -> bool:
        """Tell whether it comes from behind the door."""
        turned_away = self.status in TURNED_AWAY or (
            self.status == MOVED and (self.leads_to == AWAY or self.leads_to.startswith(SIGN_IN))
        )
        return not turned_away and self.status != NOT_ALLOWED

    def without(self, path: str) -> "Answer":
        """Return it without the address that was asked for."""
        return Answer(self.status, self.leads_to.split("?")[0], self.body.replace(path.encode(), b""))


class Asker:
    """Somebody who sends requests, each as if it were the first."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.client.raise_request_exception = False
        self.cookies = client.cookies.copy()

    def ask(self, method: str, path: str) -> Answer:
        """Send an empty request, and take back whatever it did."""
        self.client.cookies = self.cookies.copy()
        with transaction.atomic():
            answer = self.client.generic(method, path, b"", content_type="application/json")
            transaction.set_rollback(True)
        return Answer(answer.status_code, answer.get("Location", ""), b"" if answer.streaming else answer.content)


class Cast:
    """Everybody who walks."""

    def __init__(self, world: World) -> None:
        self.roles = {letter: Asker(signed_in(name) if name else Client()) for letter, name in ROLES.items()}
        gone = create_user(email="gone@house.example", role=ADMINISTRATOR, password=PASSWORD, actor="system", now=NOW)
        left = Asker(signed_in(gone))
        User.objects.filter(pk=gone.pk).update(is_active=False)
        revoked, bare = (key_with("administrator", name=name) for name in ("revoked", "bare"))
        ApiKey.objects.filter(name="revoked").update(revoked_at=NOW)
        ApiKey.objects.filter(name="bare").update(scopes=["later:write"])
        limits = KeyLimits(sources=("shop",))
        limited = create_api_key(name="limited", scopes=["administrator"], actor="system", now=NOW, limits=limits)
        # Who is treated as nobody.
        self.gone = {"somebody who was switched off": left, "a revoked key": _program(revoked)}
        self.keys = {scope: _program(key_with(scope)) for scope in sorted(ALL_SCOPES)}
        self.bare, self.limited, self.whole = _program(bare), _program(limited), _program(key_with("administrator"))
        self.holders = {right: _holder(right, world) for right in RIGHTS}
        self._of_several: dict[frozenset[str], Asker] = {}

    def key_with_all(self, scopes: Iterable[str]) -> Asker:
        """Return a program whose key has all of these scopes, and no other one."""
        wanted = frozenset(scopes)
        if wanted not in self._of_several:
            self._of_several[wanted] = _program(key_with(*sorted(wanted)))
        return self._of_several[wanted]


def _program(key: str) -> Asker:
    return Asker(Client(headers={"authorization": f"Bearer {key}"}))


def _holder(right: str, world: World) -> Asker:
    """Return somebody without a role who was given a right on one object of each kind."""
    user = User.objects.create_user(f"{right}@house.example", PASSWORD)
    for obj in world.shared:
        for act in RIGHTS[right]:
            assign_perm(f"{act}_{obj._meta.model_name}", user, obj)
    return Asker(signed_in(user))


@dataclass
class Walk:
    """Asks, counts, and notes what must never be."""

    cast: Cast
    # The scope of each address and method that the table says: what differs from it is found out scope by scope.
    expected: Mapping[tuple[str, str], str]
    cells: int = 0
    faults: list[str] = field(default_factory=list)

    def visit(self, address: Address) -> list[Line]:
        """Return who may use an address by which method."""
        lines = [line for method in METHODS if (line := self._try_method(address, method)) is not None]
        may = {line.method: line.who for line in lines}
        if len(lines) == len(METHODS) and len({replace(line, method=ANY) for line in lines}) == 1:
            lines = [replace(lines[0], method=ANY)]
        for letter, asker in self.cast.roles.items():
            if letter not in may.get("GET", "") and self._opens(asker, "HEAD", address.there):
                self._note(address, "HEAD", letter, "is let in, and not by GET")
            if letter in "".join(may.values()):
                continue
            told = self._ask(asker, "OPTIONS", address.there)
            # Django itself answers which methods there are, and nothing else.
            if told.is_let_in and told.body:
                self._note(address, "OPTIONS", letter, "is let in, and may nothing else")
        return lines

    def _try_method(self, address: Address, method: str) -> Line | None:
        cast = self.cast
        told = {"A": self._ask(cast.roles["A"], method, address.there)}
        whole = self._ask(cast.whole, method, address.there)
        if NOT_ALLOWED in {told["A"].status, whole.status} and not (told["A"].is_let_in or whole.is_let_in):
            # There is no such method: that does not depend on who asks.
            return None
        told |= {letter: self._ask(cast.roles[letter], method, address.there) for letter in "NSMIO"}
        who = "".join(letter if told[letter].is_let_in else "." for letter in ROLES)
        is_public = "N" in who
        for name, asker in cast.gone.items():
            if self._ask(asker, method, address.there).is_let_in and not is_public:
                self._note(address, method, name, "is let in")
        key = self._try_keys(address, method) if address.is_rest and not is_public else "any" if is_public else "-"
        if not address.is_rest and whole.is_let_in and not is_public:
            self._note(address, method, "a key", "is let in to a page")
        right = "-" if "S" in who else self._try_rights(address, method, told["S"])
        if address.missing is not None:
            self._compare_with_missing(address, method, told)
        return Line(method, who, key, right, address.route)

    def _try_keys(self, address: Address, method: str) -> str:
        opened = self._opened_by(address, method)
        if self._opens(self.cast.bare, method, address.there):
            self._note(address, method, "a key without scopes", "is let in")
        limited = self._ask(self.cast.limited, method, address.there)
        if limited.is_let_in and address.other and self._opens(self.cast.limited, method, address.other):
            self._note(address, method, "a key limited to another source", "is let in")
        if not opened and self._opens(self.cast.whole, method, address.there):
            return SEVERAL
        return scope_of(opened) + ("+" if limited.is_let_in else "")

    def _opened_by(self, address: Address, method: str) -> set[str]:
        """Return the scopes with which a key is let in: every one alone, where they are not those of the table."""
        scope = self.expected.get((address.route, method), SEVERAL).removesuffix("+")
        if scope in ALL_SCOPES:
            # Each of these alone, and all others together not: then no other one opens it.
            enough = keys_that_have(scope)
            others = self.cast.key_with_all(ALL_SCOPES - enough)
            if all(self._opens(self.cast.keys[one], method, address.there) for one in enough) and not self._opens(
                others, method, address.there
            ):
                return enough
        return {scope for scope, asker in self.cast.keys.items() if self._opens(asker, method, address.there)}

    def _try_rights(self, address: Address, method: str, refused: Answer) -> str:
        """Return the smallest right that opens the address, to its own object alone."""
        found = [right for right, asker in self.cast.holders.items() if self._opens(asker, method, address.there)]
        for asker in self.cast.holders.values():
            if found and address.other:
                answer = self._ask(asker, method, address.other)
                if answer.without(address.other) != refused.without(address.there):
                    self._note(address, method, "somebody with a right on another object", f"is told {answer.status}")
        return found[0] if found else "-"

    def _compare_with_missing(self, address: Address, method: str, told: dict[str, Answer]) -> None:
        """Hold the answers about an object that is there against those about one that is not."""
        assert address.missing is not None
        for letter, asker in self.cast.roles.items():
            if told[letter].is_let_in:
                continue
            missing = self._ask(asker, method, address.missing)
            if missing.without(address.missing) != told[letter].without(address.there):
                self._note(address, method, letter, "learns whether the object exists")
        if method == "GET" and told["A"].is_let_in:
            missing = self._ask(self.cast.roles["A"], method, address.missing)
            if told["A"].status == NOT_FOUND and address.route not in ABSENT:
                self._note(address, method, "A", "finds no object where one is")
            if missing.is_let_in and missing.status not in {MOVED, REFUSED, NOT_FOUND}:
                self._note(address, method, "A", f"is told {missing.status} about an object that is not")

    def _opens(self, asker: Asker, method: str, path: str) -> bool:
        return self._ask(asker, method, path).is_let_in

    def _ask(self, asker: Asker, method: str, path: str) -> Answer:
        self.cells += 1
        answer = asker.ask(method, path)
        if answer.status >= 500 and answer.status not in WELL_SAID:
            self.faults.append(f"{method} {path}: {answer.status}")
        return answer

    def _note(self, address: Address, method: str, who: str, what: str) -> None:
        self.faults.append(f"{method} {address.there}: {who} {what}")


def keys_that_have(scope: str) -> set[str]:
    """Return the scopes that bring a scope with them, itself among them."""
    return {name for name in ALL_SCOPES if scope in expand_scopes([name])}


def scope_of(opened: Iterable[str]) -> str:
    """Return the one scope that explains which keys are let in."""
    opened = set(opened)
    if not opened:
        return "-"
    for scope in sorted(ALL_SCOPES):
        if opened == keys_that_have(scope):
            return scope
    return "any" if opened == ALL_SCOPES else ",".join(sorted(opened))
