"""The file of known deviations: what it may contain, and that a message names the line of a mistake."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from pytest_mcp_storage.session.deviations import Deviation, DeviationsError, load_deviations

CLAUSES = ("EX-2", "LC-4", "ID-3")
DAY = datetime.date(2027, 1, 31)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deviations.yaml"


def test_a_list_of_entries(file: Path) -> None:
    file.write_text("""\
# what we know of
- clause: EX-2
  reason: the server has no expiry
- clause: LC-4
  backend: redis
  reason: upstream sends nothing
  link: https://tracker.example/7
  expires: 2027-01-31
""")
    assert load_deviations(file, CLAUSES) == (
        Deviation("EX-2", "the server has no expiry", line=2),
        Deviation("LC-4", "upstream sends nothing", 4, "redis", "https://tracker.example/7", DAY),
    )


def test_a_mapping_by_clause(file: Path) -> None:
    file.write_text("EX-2: the server has no expiry\nLC-4:\n  reason: upstream\n  backend: redis\n")
    assert load_deviations(file, CLAUSES) == (
        Deviation("EX-2", "the server has no expiry", line=1),
        Deviation("LC-4", "upstream", line=2, backend="redis"),
    )


def test_entries_under_a_heading(file: Path) -> None:
    file.write_text("deviations:\n- {clause: EX-2, reason: none}\n")
    assert load_deviations(file, CLAUSES) == (Deviation("EX-2", "none", line=2),)


@pytest.mark.parametrize("spelling", ["expires", "expiry", "until"])
def test_the_last_day_may_be_spelled_as_people_do(file: Path, spelling: str) -> None:
    file.write_text(f"- {{clause: EX-2, reason: none, {spelling}: 2027-01-31}}")
    assert load_deviations(file, CLAUSES)[0].expires == DAY


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[]", "{}", "deviations:", "deviations: []", "null"])
def test_no_entries(file: Path, text: str) -> None:
    file.write_text(text)
    assert load_deviations(file, CLAUSES) == ()


@pytest.mark.parametrize(
    ("text", "line", "reported"),
    [
        ("- clause: EX-99\n  reason: r", 1, "there is no clause 'EX-99'; delete the entry"),
        ("- {clause: EX-2, reason: r}\n- {clause: ex-2, reason: r}", 2, "no clause 'ex-2'"),
        ("- clause: EX-2", 1, "needs a reason"),
        ("- {clause: EX-2, reason: ' '}", 1, "needs a reason"),
        ("- {clause: EX-2, reason: 3}", 1, "needs a reason"),
        ("- reason: r", 1, "needs a clause"),
        ("- {clause: EX-2, reason: r, cluase: x}", 1, "unknown key 'cluase'"),
        ("- EX-2", 1, "an entry is a mapping"),
        ("\n\n- {clause: EX-2, reason: r, expires: soon}", 3, "2027-01-31"),
        ("- {clause: EX-2, reason: r, expires: 2027-01-31 10:00:00}", 1, "2027-01-31"),
        ("- {clause: EX-2, reason: r, expires: 2027-02-31}", 1, "day is out of range"),
        ("- !!python/object/apply:os.getcwd []", 1, "could not determine a constructor"),
        ("- {clause: EX-2, reason: r}\n- {clause: EX-2, reason: other}", 2, "is in line 1 already"),
        ("EX-2: r\nEX-2: other", 2, "is in line 1 already"),
        ("- {clause: EX-2, reason: r, backend: [redis, file]}", 1, "backend must be a text, not ['redis', 'file']"),
        ("- {clause: EX-2, reason: r, link: 7}", 1, "link must be a text, not 7"),
        ("- clause: EX-2\n  reason: r\n  clause: LC-4", 3, "'clause' occurs twice in one entry"),
        ("EX-2:\n  reason: r\n  reason: s", 3, "'reason' occurs twice in one entry"),
        ("- {clause: EX-2, id: LC-4, reason: r}", 1, "two of 'clause', 'id', 'reason' mean the same"),
        ("EX-2: {clause: LC-4, reason: r}", 1, "'clause' occurs before the entry already"),
    ],
)
def test_an_entry_that_cannot_be_used_is_refused_by_its_line(file: Path, text: str, line: int, reported: str) -> None:
    file.write_text(text)
    with pytest.raises(DeviationsError) as caught:
        load_deviations(file, CLAUSES)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert reported in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"just text", b"3", b"- [", b"a: b: c", b"\xff\xfe\x00", b"a: 1\n---\nb: 2\n", b"\x00"]
)
def test_a_file_of_another_kind_is_refused_by_name(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(DeviationsError, match="deviations"):
        load_deviations(file, CLAUSES)


def test_a_file_that_is_not_there_is_refused_by_name(file: Path) -> None:
    with pytest.raises(DeviationsError, match="No such file"):
        load_deviations(file, CLAUSES)


def test_the_same_clause_may_be_listed_once_for_each_backend(file: Path) -> None:
    file.write_text("- {clause: EX-2, reason: a}\n- {clause: EX-2, reason: b, backend: redis}\n")
    assert [each.backend for each in load_deviations(file, CLAUSES)] == ["", "redis"]


@pytest.mark.parametrize(
    ("backend", "clause", "day", "covered"),
    [
        ("redis", "EX-2", DAY, True),
        ("redis", "EX-2", DAY + datetime.timedelta(days=1), False),
        ("file", "EX-2", DAY, False),
        ("redis", "EX-20", DAY, False),
    ],
)
def test_an_entry_covers_its_backend_up_to_its_last_day(
    backend: str, clause: str, day: datetime.date, covered: bool
) -> None:
    assert Deviation("EX-2", "r", 1, backend="redis", expires=DAY).covers(backend, clause, day) is covered


def test_an_entry_without_backend_and_date_covers_all(file: Path) -> None:
    assert Deviation("EX-2", "r", 1).covers("any", "EX-2", datetime.date.max)


@pytest.mark.parametrize("written", ["LC2", "lc-2", "lc 2", "LC-02", " LC_2 "])
def test_a_clause_that_is_spelled_otherwise_is_suggested(tmp_path: Path, written: str) -> None:
    file = tmp_path / "known.yaml"
    file.write_text(f"- clause: '{written}'\n  reason: r\n")
    with pytest.raises(DeviationsError, match=r"known.yaml:1: there is no clause .*; write LC-2, if that is meant"):
        load_deviations(file, ["LC-1", "LC-2"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- clause: LC-1\n  reason: a: b\n", "known.yaml:2: this is not YAML: "),
        ("- clause: LC-1\n reason: r\n", "known.yaml:2: this is not YAML: "),
        ("clause: LC-1\nreason: r\n", "known.yaml:1: 'clause' belongs to an entry, and none has begun; write a dash"),
        (
            "- clause: LC-1\n  reason: r\n  clause: LC-2\n",
            "known.yaml:3: .* twice .*; if a new entry begins here, write a",
        ),
    ],
)
def test_a_slip_of_yaml_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "known.yaml"
    file.write_text(text)
    with pytest.raises(DeviationsError, match=message):
        load_deviations(file, ["LC-1", "LC-2"])
