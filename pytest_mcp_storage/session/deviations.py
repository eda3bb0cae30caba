"""Known deviations: clauses that a backend is known to break, each with a reason. A stale entry fails the run."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

_KEYS = {"clause": ("clause", "id"), "reason": ("reason",), "backend": ("backend",), "link": ("link",),
         "expires": ("expires", "expiry", "until")}  # fmt: skip


class DeviationsError(ValueError):
    """The file of deviations can't be used; the message names the line."""


@dataclass(frozen=True)
class Deviation:
    """One entry. ``backend``: empty for every backend; ``expires``: the last day on which it holds."""

    clause: str
    reason: str
    line: int
    backend: str = ""
    link: str = ""
    expires: datetime.date | None = None

    def covers(self, backend: str, clause: str, today: datetime.date) -> bool:
        """Say whether the entry accepts that the backend breaks the clause."""
        return self.clause == clause and self.backend in ("", backend) and not self.expired(today)

    def expired(self, today: datetime.date) -> bool:
        """Say whether its last day has passed."""
        return self.expires is not None and today > self.expires


def load_deviations(path: Path, clauses: Iterable[str]) -> tuple[Deviation, ...]:
    """Return the entries of a YAML file: a list of mappings, or a mapping of clause id to reason or mapping.

    Raise :class:`DeviationsError` for a file that can't be read, and for an entry with an unknown clause, an unknown
    key, no reason, or one that occurs twice.
    """
    known = set(clauses)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise DeviationsError(f"{place}: this is not YAML: {error.problem or error.context}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DeviationsError(f"{path}: {error}") from None
    found = tuple(_deviation(path, line, entry) for line, entry in _entries(path, node))
    lines: dict[tuple[str, str], int] = {}
    for deviation in found:
        place = f"{path}:{deviation.line}"
        if deviation.clause not in known:
            raise DeviationsError(
                f"{place}: there is no clause {deviation.clause!r}; {_meant(deviation.clause, known)}"
            )
        first = lines.setdefault((deviation.clause, deviation.backend), deviation.line)
        if first != deviation.line:
            raise DeviationsError(f"{place}: {deviation.clause} is in line {first} already; delete the entry")
    return found


def _meant(name: str, known: set[str]) -> str:
    """Return what to do about a clause id that does not exist."""
    written = re.fullmatch(r"\s*([A-Za-z]+)[-_ ]*0*([0-9]+)\s*", name)
    id = f"{written[1].upper()}-{written[2]}" if written else name.strip().upper()
    near = [id] if id in known else get_close_matches(id, sorted(known), n=1, cutoff=0.8)
    return f"write {near[0]}, if that is meant, or delete the entry" if near else "delete the entry"


def _entries(path: Path, node: yaml.Node | None) -> Iterator[tuple[int, Any]]:
    if isinstance(node, yaml.MappingNode) and [key.value for key, _ in node.value] == ["deviations"]:
        node = node.value[0][1]
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield item.start_mark.line + 1, _value(path, item)
    elif isinstance(node, yaml.MappingNode):
        _check_dash(path, node)
        for key, item in node.value:
            entry = _value(path, item)
            named = entry if isinstance(entry, dict) else {"reason": entry}
            if again := [name for name in _KEYS["clause"] if name in named]:
                raise DeviationsError(
                    f"{path}:{item.start_mark.line + 1}: {again[0]!r} occurs before the entry already"
                )
            yield key.start_mark.line + 1, {"clause": key.value, **named}
    else:
        raise DeviationsError(f"{path}: a list of entries is needed, each with 'clause' and 'reason'")


def _check_dash(path: Path, node: yaml.MappingNode) -> None:
    """Raise :class:`DeviationsError` if the file is an entry itself."""
    names = {name for names in _KEYS.values() for name in names}
    for key, _ in node.value:
        if key.value in names:
            raise DeviationsError(
                f"{path}:{key.start_mark.line + 1}: {key.value!r} belongs to an entry, and none has begun; write a "
                "dash before the first key of each entry: '- clause: RT-1'"
            )


def _value(path: Path, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:  # YAML forbids it, and the library takes the last one
                raise DeviationsError(
                    f"{path}:{key.start_mark.line + 1}: {key.value!r} occurs twice in one entry{_dash(key.value)}"
                )
            seen.add(key.value)
    try:
        return yaml.SafeLoader("").construct_document(node)
    except (yaml.YAMLError, ValueError) as error:  # a tag that is not plain data; a date that does not exist
        problem = getattr(error, "problem", None) or error
        raise DeviationsError(f"{path}:{node.start_mark.line + 1}: {problem}") from None


def _dash(key: str) -> str:
    return "; if a new entry begins here, write a dash before it" if key in _KEYS["clause"] else ""


def _deviation(path: Path, line: int, entry: Any) -> Deviation:
    place = f"{path}:{line}"
    if not isinstance(entry, dict):
        raise DeviationsError(f"{place}: an entry is a mapping with 'clause' and 'reason'")
    spelled = {name: key for key, names in _KEYS.items() for name in names}
    if unknown := [str(name) for name in entry if name not in spelled]:
        raise DeviationsError(f"{place}: unknown key {unknown[0]!r} (known: {', '.join(_KEYS)})")
    fields = {spelled[name]: value for name, value in entry.items()}
    if len(fields) < len(entry):
        raise DeviationsError(f"{place}: two of {', '.join(map(repr, entry))} mean the same")
    for needed in ("clause", "reason"):
        if not isinstance(fields.get(needed), str) or not fields[needed].strip():
            raise DeviationsError(f"{place}: the entry needs a {needed}")
    expires = fields.pop("expires", None)
    if expires is not None and type(expires) is not datetime.date:  # a datetime is a date too, and can't be compared
        raise DeviationsError(f"{place}: expires must be a date, as in 2027-01-31")
    texts = {key: value for key, value in fields.items() if value is not None}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise DeviationsError(f"{place}: {name} must be a text, not {value!r}; write one entry for each")
    return Deviation(line=line, expires=expires, **texts)
