"""Stores with wrong policies, and the correct one on which they are based."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import ClassVar, TypeVar
from uuid import UUID

from pytest_mcp_storage.harnesses.backend_options import backend_options
from pytest_mcp_storage.oracle.store_model import SessionKey
from pytest_mcp_storage.spec.capabilities import Capability
from pytest_mcp_storage.zoo.in_memory_store import InMemoryBackend, InMemoryHarness, InMemoryStore, Row, Rows
from reference_backends import Clock, SessionData, StorageError
from reference_backends.core.validation import LONGEST_TTL

Result = TypeVar("Result")

User = str | None
"""A signed-in user's id; ``None``: without a user."""
SERVICE = "service_role"
"""The service role, if policies bind it."""


class Policies:
    """Who may do what with a row, by its ``user_id`` (owner) and its identity."""

    def selects(self, user: User, owner: str, identity: str) -> bool:
        """Return if the user sees the row, and can then change it."""
        return self.owns(user, owner, identity)

    def inserts(self, user: User, owner: str, identity: str) -> bool:
        """Return if the user can insert this row."""
        return self.owns(user, owner, identity)

    def updates_to(self, user: User, owner: str, identity: str) -> bool:
        """Return if the user can change a row that they see to this one."""
        return self.owns(user, owner, identity)

    def deletes(self, user: User, owner: str, identity: str) -> bool:
        """Return if the user can delete the row."""
        return self.owns(user, owner, identity)

    def owns(self, user: User, owner: str, identity: str) -> bool:
        """Return the policies that all of them share."""
        return user is not None and user == owner == identity


class Guarded(InMemoryStore):
    """Rows with owners, and the policies on them."""

    def __init__(self, policies: Policies) -> None:
        super().__init__()
        self.policies = policies
        self.owners: dict[SessionKey, str] = {}

    def owner(self, name: SessionKey) -> str:
        return self.owners.get(name, name[0])


class UsersRows(MutableMapping[SessionKey, Row]):
    """The rows as a user has them."""

    def __init__(self, store: Guarded, user: User) -> None:
        self.store = store
        self.user = user

    def __getitem__(self, name: SessionKey) -> Row:
        if not self.may("selects", name):
            raise KeyError(name)
        return self.store.rows[name]

    def __setitem__(self, name: SessionKey, row: Row) -> None:
        self.put(name, row, name[0])

    def __delitem__(self, name: SessionKey) -> None:
        if name in self.store.rows and self.may("deletes", name):
            del self.store.rows[name]
            self.store.owners.pop(name, None)

    def __iter__(self) -> Iterator[SessionKey]:
        return iter([name for name in self.store.rows if self.may("selects", name)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def pop(self, name: SessionKey, *default: object) -> None:  # type: ignore[override]
        """Delete without a read before it, as SQL does."""
        del self[name]

    def clear(self) -> None:
        for name in list(self.store.rows):
            del self[name]

    def may(self, what: str, name: SessionKey) -> bool:
        return bool(getattr(self.store.policies, what)(self.user, self.store.owner(name), name[0]))

    def put(self, name: SessionKey, row: Row, owner: str) -> None:
        """Insert the row, or change the one with its session id that the user sees, with that owner."""
        existing = [each for each in self.store.rows if each[1] == name[1]]
        seen = [each for each in existing if self.may("selects", each)]
        allowed = self.store.policies.updates_to if seen else self.store.policies.inserts
        if (existing and not seen) or not allowed(self.user, owner, name[0]):
            raise StorageError("new row violates row-level security policy")
        for each in seen:
            del self.store.rows[each]
            self.store.owners.pop(each, None)
        self.store.rows[name] = row
        self.store.owners[name] = owner


class UsersInMemoryStore(InMemoryStore):
    """The store as a user reaches it."""

    def __init__(self, store: Guarded, user: User) -> None:
        super().__init__()
        self.whole = store
        self.user = user

    def done(self, work: Callable[[Rows], Result]) -> Result:
        return work(UsersRows(self.whole, self.user))


class GuardedHarness(InMemoryHarness):
    """A store with correct policies."""

    capabilities = InMemoryHarness.capabilities | {Capability.ROW_SECURITY}
    policies: ClassVar[type[Policies]] = Policies
    users_backend: ClassVar[type[InMemoryBackend]] = InMemoryBackend

    def __init__(self) -> None:
        super().__init__()
        self.store: Guarded = Guarded(self.policies())

    async def open_as(self, user: User) -> InMemoryBackend:
        backend = self.users_backend(UsersInMemoryStore(self.store, user))
        await backend.init()
        return backend

    async def write_row_as(self, user: User, session: SessionData, owner: str) -> None:
        record = {field: value for field, value in session.model_dump().items() if value is not None}
        row = Row(record, float(LONGEST_TTL))
        UsersRows(self.store, user).put((session.identity, session.session_id), row, owner)


class _None(Policies):
    def owns(self, user: User, owner: str, identity: str) -> bool:
        return True


class ForgetsToSwitchItOn(GuardedHarness):
    """Writes policies and never enables row level security: the public key that every browser has reads all tokens."""

    breaks = "RS-1"
    policies = _None


class _AnybodyInserts(Policies):
    def inserts(self, user: User, owner: str, identity: str) -> bool:
        return True


class LetsAnybodyInsert(GuardedHarness):
    """Has "with check (true)" on inserts, copied from a contact form: anybody can plant a session with their server."""

    breaks = "RS-1"
    policies = _AnybodyInserts


class _Quiet(InMemoryBackend):
    async def create_session(self, session: SessionData, ttl: float | None = None) -> None:
        try:
            await super().create_session(session, ttl)
        except StorageError:
            return


class SucceedsForNobody(GuardedHarness):
    """Ignores that the insert was refused: the sign-in seems to work, and the session is nowhere."""

    breaks = "RS-1"
    users_backend = _Quiet


class _SignedIn(Policies):
    def owns(self, user: User, owner: str, identity: str) -> bool:
        return user is not None


class TakesSignedInForOwner(GuardedHarness):
    """Grants "to authenticated using (true)": anyone who can sign up reads everybody's tokens."""

    breaks = "RS-2"
    policies = _SignedIn


class _AnybodysDelete(Policies):
    def deletes(self, user: User, owner: str, identity: str) -> bool:
        return user is not None


class DeletesForAnyUser(GuardedHarness):
    """Was careful about reading and left deletes to any signed-in user: any user can sign the others out."""

    breaks = "RS-2"
    policies = _AnybodysDelete


class _Either(Policies):
    def owns(self, user: User, owner: str, identity: str) -> bool:
        return user is not None and user in (owner, identity)


class AsksForEither(GuardedHarness):
    """Joins user_id and identity by "or", as upstream's migration: a row of one's own gets into another's listing."""

    breaks = "RS-3"
    policies = _Either


class _NoCheckOnUpdate(Policies):
    def updates_to(self, user: User, owner: str, identity: str) -> bool:
        return user is not None


class ForgetsTheCheckOnUpdate(GuardedHarness):
    """Says who may update and, with "with check (true)", not to what: one's own row is handed to somebody else."""

    breaks = "RS-3"
    policies = _NoCheckOnUpdate


class _ServedAsARole(GuardedHarness):
    """Base: the service role is bound by the policies as everybody else."""

    async def open(
        self,
        *,
        encryption_key: str | Sequence[str] | None = None,
        clock: Clock | None = None,
        default_ttl: float | None = None,
    ) -> InMemoryBackend:
        store = UsersInMemoryStore(self.store, SERVICE)
        backend = self.backend(store, **backend_options(encryption_key, clock, default_ttl))
        await backend.init()
        return backend


class BindsTheServiceToo(_ServedAsARole):
    """Forces row level security on the owner, and gives the service role no policy: its clean-up finds nothing."""

    breaks = "RS-4"


class _NoDeleteForTheService(Policies):
    def owns(self, user: User, owner: str, identity: str) -> bool:
        return user == SERVICE or super().owns(user, owner, identity)

    def deletes(self, user: User, owner: str, identity: str) -> bool:
        return user != SERVICE and self.owns(user, owner, identity)


class ForgetsTheServicesDelete(_ServedAsARole):
    """Gives the service role a policy for each verb but delete: what it removes stays, without an error."""

    breaks = "RS-4"
    policies = _NoDeleteForTheService


class _AuthUid(Policies):
    def owns(self, user: User, owner: str, identity: str) -> bool:
        try:
            UUID(user or owner)
        except ValueError:
            raise StorageError("invalid input syntax for type uuid") from None
        return super().owns(user, owner, identity)


class NeedsUuids(GuardedHarness):
    """Compares with auth.uid(), which is a uuid: for users of another identity provider every query fails."""

    breaks = "RS-5"
    policies = _AuthUid


class _WithoutProvider(Policies):
    def owns(self, user: User, owner: str, identity: str) -> bool:
        return super().owns(user and user.rpartition("|")[2], owner, identity)


class CutsTheProviderOff(GuardedHarness):
    """Takes "auth0|5f7c" for a provider and a user, and asks for the user alone: its rows are nobody's."""

    breaks = "RS-5"
    policies = _WithoutProvider


class _ByPrefix(Policies):
    def owns(self, user: User, owner: str, identity: str) -> bool:
        return user is not None and owner == identity and identity.startswith(user)


class LetsPrefixesIn(GuardedHarness):
    """Has ``identity LIKE sub || '%'``, for identities that name a tenant behind the user: al is alice too."""

    breaks = "RS-2"
    policies = _ByPrefix


class _FoldingCase(Policies):
    def owns(self, user: User, owner: str, identity: str) -> bool:
        return user is not None and owner.lower() == identity.lower() == user.lower()


class FoldsUserIds(GuardedHarness):
    """Compares user ids without regard to case, as if they were addresses."""

    breaks = "RS-2"
    policies = _FoldingCase
