"""What a bridge says of its default TTL before its first store."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_mcp_storage.bridge.errors import BridgeFault
from pytest_mcp_storage.bridge.handshake import Hello, exchange_hello
from pytest_mcp_storage.bridge.wire import Limits, Wire
from pytest_mcp_storage.spec.capabilities import Capability

SAYS_NOTHING = {"protocol": 1, "name": "bridge", "version": "1", "capabilities": ["CLOCK"]}


async def hello(**members: Any) -> Hello:
    async def call(*_: Any, **__: Any) -> dict[str, Any]:
        return SAYS_NOTHING | members

    return await exchange_hello(cast("Wire", SimpleNamespace(call=call, limits=Limits(), fault=BridgeFault)))


async def test_a_bridge_that_says_nothing_is_asked_for_another_default_ttl() -> None:
    assert (await hello()).capabilities == {Capability.CLOCK, Capability.DEFAULT_TTL}
    assert (await hello()).default_ttl == 43_200


async def test_a_bridge_that_names_its_own_default_ttl_is_not() -> None:
    fixed = await hello(defaultTtl=3600)
    assert fixed.capabilities == {Capability.CLOCK}
    assert fixed.default_ttl == 3600


@pytest.mark.parametrize("wrong", [0, -1, "60", True, float("inf")])
async def test_a_default_ttl_that_can_not_be_is_refused(wrong: object) -> None:
    with pytest.raises(BridgeFault, match="defaultTtl"):
        await hello(defaultTtl=wrong)
