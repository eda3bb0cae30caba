"""A clause test: a function of the suite that measures one clause, and the decorator that makes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Any, TypeVar

from hypothesis.strategies import SearchStrategy

from pytest_mcp_storage.engine.environment import Environment
from pytest_mcp_storage.engine.tiers import Tier
from pytest_mcp_storage.spec.capabilities import Capability

Body = TypeVar("Body", bound=Callable[..., Any])


@dataclass(frozen=True)
class Every:
    """Values that a test takes in turn instead of drawing them: a few draws may miss some of them."""

    values: tuple[Any, ...]


def every(*values: Any) -> Every:
    """Share a test's examples among these values; each value gets at least one."""
    return Every(values)


@dataclass(frozen=True)
class ClauseTest:
    """A test of the suite: the clause that it measures, what it draws, and what it takes in turn."""

    clause: str
    body: Callable[..., Any]
    strategies: dict[str, SearchStrategy[Any]]
    parameters: list[dict[str, Any]]
    at_most: int | None
    waits: bool
    needs: frozenset[Capability] = frozenset()
    shuffled: bool = False
    unmarked: bool = False

    @property
    def name(self) -> str:
        """Return the function's name, by which the contract names the test."""
        return self.body.__name__

    def examples(self, environment: Environment, tier: Tier) -> int:
        """Return how many examples this test gets on this backend, for each set of parameters."""
        if self.waits and Capability.CLOCK not in environment.harness.capabilities:
            return 1
        count = tier.examples if tier.every_example else max(4, round(tier.examples * environment.pace))
        return ceil(min(count, self.at_most or count) / len(self.parameters))


def clause_test(
    clause: str,
    *,
    at_most: int | None = None,
    waits: bool = False,
    needs: Iterable[Capability] = (),
    shuffled: bool = False,
    unmarked: bool = False,
    **arguments: SearchStrategy[Any] | Every,
) -> Callable[[Body], Body]:
    """Mark a function as a test of ``clause``; it receives a :class:`TestContext` and an example of each strategy.

    An argument may also be :func:`every` one of some values: they share the examples, at least one each. ``at_most``:
    the limit of examples, for costly tests. ``waits``: the test lets time pass, so a store without CLOCK gets one
    example, in real time. ``needs``: capabilities in addition to the clause's, for a test of one of its
    ``optional_parts``. ``shuffled``: the order in which ready tasks run is drawn too. ``unmarked``: the
    test uses names without its example's mark, so it is left out on a store that may hold sessions of others.
    """
    strategies = {name: value for name, value in arguments.items() if not isinstance(value, Every)}
    taken = {name: value.values for name, value in arguments.items() if isinstance(value, Every)}
    parameters = [dict(zip(taken, values, strict=True)) for values in product(*taken.values())]

    def mark(body: Body) -> Body:
        test = ClauseTest(clause, body, strategies, parameters, at_most, waits, frozenset(needs), shuffled, unmarked)
        body.__clause_test__ = test  # type: ignore[attr-defined]
        return body

    return mark


def tests_in(module: object) -> list[ClauseTest]:
    """Return the clause tests of a suite module, in the order of the module."""
    return [value.__clause_test__ for value in vars(module).values() if hasattr(value, "__clause_test__")]
