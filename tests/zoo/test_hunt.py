"""The hunt tells a catch from an escape, and a store that is spared from one that could not be measured."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mcp_storage.clauses import load_clauses
from pytest_mcp_storage.harness import BackendHarness
from pytest_mcp_storage.zoo import hunt
from pytest_mcp_storage.zoo.houses import expiry
from pytest_mcp_storage.zoo.shelf import ShelfHarness
from pytest_mcp_storage.zoo.specimens import Specimen

Put = Callable[..., str]


class Locked(ShelfHarness):
    """Can't be provisioned."""

    async def __aenter__(self) -> BackendHarness:
        raise PermissionError("no shelf for you")


@pytest.fixture
def specimen(monkeypatch: pytest.MonkeyPatch) -> Put:
    """Put one harness into the register under the given clauses, and give its name there. Three clauses are all."""
    contract = [clause for clause in load_clauses() if clause.id in {"RT-1", "EX-2", "EX-3"}]
    monkeypatch.setattr(hunt, "load_clauses", lambda: contract)

    def put(harness: type[BackendHarness], *clauses: str) -> str:
        here = (Specimen(harness.__name__, clauses, "a test", harness),)
        monkeypatch.setattr(hunt, "defects", lambda: here if clauses else ())
        monkeypatch.setattr(hunt, "sound", lambda: () if clauses else here)
        return harness.__name__

    return put


def test_a_broken_store_is_caught_at_the_first_tier_that_can(specimen: Put) -> None:
    catch = hunt.hunt(specimen(expiry.ServesUntilCleanup, "EX-2"))
    assert (catch.by, catch.tier, catch.caught, catch.spared) == (["EX-2"], "smoke", True, False)
    assert catch.examples >= 1
    assert catch.seconds > 0
    assert "showed the session" in catch.message


def test_one_that_its_clause_lets_pass_has_escaped_every_tier(specimen: Put) -> None:
    catch = hunt.hunt(specimen(expiry.ServesUntilCleanup, "RT-1"))
    assert (catch.by, catch.tier, catch.caught, catch.spared) == ([], "standard", False, False)


def test_one_that_a_second_named_clause_lets_pass_is_not_caught(specimen: Put) -> None:
    catch = hunt.hunt(specimen(expiry.ServesUntilCleanup, "EX-2", "RT-1"))
    assert catch.by == ["EX-2"]
    assert not catch.caught


def test_with_every_it_meets_the_clauses_that_do_not_name_it_too(specimen: Put) -> None:
    catch = hunt.hunt(specimen(expiry.ServesUntilCleanup, "EX-2"), tiers=("smoke",), every=True)
    assert catch.caught
    assert {"EX-2", "EX-3"} <= set(catch.by)


def test_a_sound_store_meets_every_clause_and_is_spared(specimen: Put) -> None:
    catch = hunt.hunt(specimen(ShelfHarness))
    assert (catch.by, catch.faults, catch.tier) == ([], [], "smoke")
    assert catch.spared
    assert not catch.caught


def test_a_store_called_sound_that_a_clause_fails_is_not_spared(specimen: Put) -> None:
    catch = hunt.hunt(specimen(expiry.ServesUntilCleanup))
    assert "EX-2" in catch.by
    assert not catch.spared


def test_one_that_could_not_be_measured_is_neither_caught_nor_spared(specimen: Put) -> None:
    for clauses in ((), ("EX-2",)):
        catch = hunt.hunt(specimen(Locked, *clauses))
        assert not catch.caught
        assert not catch.spared
        assert any("no shelf for you" in each for each in catch.faults)
