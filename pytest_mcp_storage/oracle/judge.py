"""Judge each call of a sequence by the model: what it should return, and how the result differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pytest_mcp_storage.engine.recording import HandleOptions
from pytest_mcp_storage.oracle.scenario import Step
from pytest_mcp_storage.oracle.store_model import Liveness, Model, SessionKey
from pytest_mcp_storage.spec.comparison import difference
from reference_backends import InvalidSessionError, SessionData, SessionExistsError, SessionNotFoundError
from reference_backends.core.validation import check_changes, check_names, check_session, check_ttl

LISTINGS = ("get_identity_sessions_data", "get_identity_mcp_sessions", "get_all_session_ids")


@dataclass(frozen=True)
class Finding:
    """A call that returned something else than it should.

    ``kind``: how, in one or two words, so that equal faults can be compared: "expired", "missing", "changed tokens".
    ``expected``: ``{"raises": name}``, ``{"session": fields or None}``, ``{"ids": […]}``, ``{"returns": None}``.
    """

    place: int
    method: str
    kind: str
    expected: dict[str, Any]
    returned: Any

    @property
    def what(self) -> tuple[str, str]:
        """Return what must stay the same while the history shrinks."""
        return self.method, self.kind


class Judge:
    """Follows the calls on one store, or on one handle if each handle is a separate store."""

    def __init__(self, now: Callable[[], float], default_ttl: float) -> None:
        self.model = Model(now, default_ttl)
        self._ended: dict[SessionKey, str] = {}
        self._sealed: dict[SessionKey, tuple[str, ...]] = {}
        self._closed: set[str] = set()

    def check(self, place: int, step: Step, opened: HandleOptions, result: object) -> Finding | None:
        """Compare the result of a call with the model, then let the model follow what the store has done."""
        if step.handle in self._closed and step.method != "init":
            return None
        if step.method in ("init", "disconnect"):
            (self._closed.add if step.method == "disconnect" else self._closed.discard)(step.handle)
            return self._plain(place, step, result)
        if isinstance(result, InvalidSessionError) and _names_are_invalid(step):
            return None
        handler = getattr(self, f"_{step.method}", None)
        found: Finding | None = handler(place, step, opened, result) if handler else None
        return found

    # -- writes --------------------------------------------------------------------------------------------------

    def _create_session(self, place: int, step: Step, opened: HandleOptions, result: object) -> Finding | None:
        if _refused(lambda: [check_session(step.arguments[0]), *_checked_ttl(step.ttl)]):
            return _raises(place, step, result, InvalidSessionError)
        session: SessionData = step.arguments[0]
        name = session.identity, session.session_id
        liveness = self.model.liveness(name)
        found = None
        if liveness is Liveness.LIVE:
            found = _raises(place, step, result, SessionExistsError)
        elif not (isinstance(result, SessionExistsError)
                  and (liveness is Liveness.UNSURE or self.model.id_is_taken(name))):  # fmt: skip
            found = self._plain(place, step, result)
            if found and isinstance(result, SessionExistsError):
                found = replace(found, kind=f"refused {self._reason(name)}")
        if not isinstance(result, Exception):
            self.model.created(session, self._ttl(step, opened))
            self._sealed[name] = opened.keys[:1]
        return found

    def _update_session(self, place: int, step: Step, opened: HandleOptions, result: object) -> Finding | None:
        name: SessionKey = step.arguments[:2]
        changes = step.arguments[2]
        if _refused(lambda: [check_names(*name), check_changes(changes), *_checked_ttl(step.ttl)]):
            refusals = (InvalidSessionError, SessionNotFoundError)
            return None if isinstance(result, refusals) else _raises(place, step, result, InvalidSessionError)
        liveness = self.model.liveness(name)
        if not self._readable(name, opened):
            found = None
        elif liveness is Liveness.GONE:
            found = _raises(place, step, result, SessionNotFoundError)
            if found and not isinstance(result, Exception):
                found = replace(found, kind=f"accepted {self._reason(name)}")
        elif liveness is Liveness.UNSURE and isinstance(result, SessionNotFoundError):
            found = None
        else:
            found = self._plain(place, step, result)
        if not isinstance(result, Exception) and name in self.model.kept:
            self.model.updated(name, changes, self._ttl(step, opened))
            self._sealed[name] = tuple({*self._sealed.get(name, ()), *opened.keys[:1]})
        return found

    def _remove_session(self, place: int, step: Step, opened: HandleOptions, result: object) -> Finding | None:
        name: SessionKey = step.arguments[:2]
        found = self._plain(place, step, result)
        if not isinstance(result, Exception):
            self._remove(name)
        return found

    def _clear_all(self, place: int, step: Step, opened: HandleOptions, result: object) -> Finding | None:
        if not isinstance(result, Exception):
            for name in list(self.model.kept):
                self._remove(name, "cleared")
        return self._plain(place, step, result)

    def _cleanup_expired_sessions(
        self, place: int, step: Step, opened: HandleOptions, result: object
    ) -> Finding | None:
        return self._plain(place, step, result)

    # -- reads ---------------------------------------------------------------------------------------------------

    def _get_session(self, place: int, step: Step, opened: HandleOptions, result: object) -> Finding | None:
        name: SessionKey = step.arguments[:2]
        if not self._readable(name, opened):
            return None
        liveness = self.model.liveness(name)
        kept = self.model.kept.get(name)
        expected = {"session": _fields(kept.session) if kept and liveness is not Liveness.GONE else None}
        if isinstance(result, Exception):
            return Finding(place, step.method, f"raised {type(result).__name__}", expected, result)
        kind = self._wrong(result, name)
        return Finding(place, step.method, kind, expected, result) if kind else None

    def _get_identity_sessions_data(
        self, place: int, step: Step, opened: HandleOptions, result: object
    ) -> Finding | None:
        identity = step.arguments[0]
        if not all(self._readable(name, opened) for name in self.model.kept if name[0] == identity):
            return None
        live = self.model.of(identity, Liveness.LIVE)
        expected = {"sessions": [_fields(each) for each in live.values()]}
        if not isinstance(result, list):
            return _odd(place, step, result, expected)
        by_id: dict[str, list[Any]] = {}
        for each in result:
            by_id.setdefault(str(getattr(each, "session_id", each)), []).append(each)
        for session_id, sessions in by_id.items():
            kind = "repeated" if len(sessions) > 1 else self._wrong(sessions[0], (identity, session_id))
            if kind:
                return Finding(place, step.method, kind, expected, result)
        return Finding(place, step.method, "missing", expected, result) if set(live) - set(by_id) else None

    def _get_identity_mcp_sessions(
        self, place: int, step: Step, opened: HandleOptions, result: object
    ) -> Finding | None:
        identity = step.arguments[0]
        return self._ids(place, step, result, lambda owner: owner == identity, only=True)

    def _get_all_session_ids(self, place: int, step: Step, opened: HandleOptions, result: object) -> Finding | None:
        return self._ids(place, step, result, lambda owner: True, only=False)

    def _ids(
        self, place: int, step: Step, result: object, mine: Callable[[str], bool], *, only: bool
    ) -> Finding | None:
        live = [name for name in self.model.kept if mine(name[0]) and self.model.liveness(name) is Liveness.LIVE]
        may = {name[1] for name in self.model.kept if mine(name[0]) and self.model.liveness(name) is not Liveness.GONE}
        gone = {name[1]: name for name in (*self.model.kept, *self._ended) if mine(name[0]) and name[1] not in may}
        expected = {"ids" if only else "among": [session_id for _, session_id in live], "not": sorted(gone)}
        if not isinstance(result, list):
            return _odd(place, step, result, expected)
        for session_id in dict.fromkeys(result):
            if session_id in gone:
                return Finding(place, step.method, self._reason(gone[session_id]), expected, result)
            if only and session_id not in may:
                return Finding(place, step.method, "unknown", expected, result)
            known = sum(1 for name in self.model.kept if mine(name[0]) and name[1] == session_id) or 1
            if session_id in may and result.count(session_id) > known:
                return Finding(place, step.method, "repeated", expected, result)
        missing = [session_id for _, session_id in live if session_id not in result]
        return Finding(place, step.method, "missing", expected, result) if missing else None

    # -- parts ---------------------------------------------------------------------------------------------------

    def _wrong(self, got: object, name: SessionKey) -> str:
        """Return how a session that was read differs, in one or two words; empty if it does not."""
        liveness = self.model.liveness(name)
        if liveness is Liveness.GONE:
            return self._reason(name) if got is not None else ""
        kept = self.model.kept[name].session
        if got is None:
            return "missing" if liveness is Liveness.LIVE else ""
        found = difference(got, kept) if isinstance(got, SessionData) else "type"
        return f"changed {found.split()[0].partition('.')[0].partition('[')[0]}" if found else ""

    def _reason(self, name: SessionKey) -> str:
        return "expired" if name in self.model.kept else self._ended.get(name, "unknown")

    def _readable(self, name: SessionKey, opened: HandleOptions) -> bool:
        """Say whether a handle has the keys that its session may be sealed with: an update adds its own."""
        return set(self._sealed.get(name, ())) <= set(opened.keys)

    def _remove(self, name: SessionKey, how: str = "removed") -> None:
        if name in self.model.kept:
            self._ended[name] = how
        self.model.removed(name)

    def _ttl(self, step: Step, opened: HandleOptions) -> float:
        default = self.model.default_ttl if opened.default_ttl is None else opened.default_ttl
        return default if step.ttl is None else float(step.ttl)

    def _plain(self, place: int, step: Step, result: object) -> Finding | None:
        """Return a finding if a call that returns nothing raised or returned something."""
        if result is None:
            return None
        kind = f"raised {type(result).__name__}" if isinstance(result, Exception) else "returned a value"
        return Finding(place, step.method, kind, {"returns": None}, result)


def _names_are_invalid(step: Step) -> bool:
    """Say whether a call names no session that can exist: it may be refused, or find nothing."""
    given = step.arguments[:2]
    if not all(isinstance(name, str) for name in given):
        return step.method != "create_session"
    try:
        check_names(*[*given, "s", "s"][:2])
    except InvalidSessionError:
        return True
    return False


def _checked_ttl(ttl: object) -> list[float]:
    return [] if ttl is None else [check_ttl(ttl)]


def _refused(check: Callable[[], object]) -> bool:
    try:
        check()
    except InvalidSessionError:
        return True
    return False


def _raises(place: int, step: Step, result: object, expected: type[Exception]) -> Finding | None:
    if isinstance(result, expected):
        return None
    kind = f"raised {type(result).__name__}" if isinstance(result, Exception) else f"no {expected.__name__}"
    return Finding(place, step.method, kind, {"raises": expected.__name__}, result)


def _odd(place: int, step: Step, result: object, expected: dict[str, Any]) -> Finding:
    kind = f"raised {type(result).__name__}" if isinstance(result, Exception) else f"a {type(result).__name__}"
    return Finding(place, step.method, kind, expected, result)


def _fields(session: SessionData) -> dict[str, Any]:
    return {name: value for name, value in session.model_dump().items() if value is not None}
