"""A table of DynamoDB, through aiobotocore. An item is a dict of texts and numbers; its ``body`` may have any length.

DynamoDB limits an item to 400 KB. The rest of a longer body is written first, as parts of a new version. Then one
conditional request writes the item. If it gets no answer, its parts stay until they expire and are cleaned up.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError

import reference_backends as rb

SIZE, BATCH = 300_000, 25  # characters in an item, items in a request, which takes 16 MB
REFUSED = "ConditionalCheckFailedException"
KEYS = {"identity": "HASH", "session_id": "RANGE"}
SCHEMA = {
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in KEYS],
    "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in KEYS.items()],
    "BillingMode": "PAY_PER_REQUEST",
}
NAMES = {"ExpressionAttributeNames": {"#identity": "identity"}}  # a reserved word
# No retries: a request whose answer was lost may have been done, and its condition would refuse the second one.
LIMITS = {"connect_timeout": 3, "read_timeout": 5, "max_pool_connections": 10, "retries": {"total_max_attempts": 1}}
CONFIG = AioConfig(connector_args={"keepalive_timeout": 3}, **LIMITS)  # closes idle connections before servers do
SESSION = AioSession()  # one for the process: it reads botocore's description of DynamoDB

Item = dict[str, Any]


class Table:
    """A table, created when it is first opened. ``settings`` are arguments of ``create_client``."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name, self.settings = name, {**settings, "config": CONFIG.merge(settings.get("config", AioConfig()))}
        self.client: Any = None
        self.opening = asyncio.Lock()

    async def open(self) -> None:
        async with self.opening:
            if self.client is None:
                self.client = await SESSION.create_client("dynamodb", **self.settings).__aenter__()
            look = "describe_table", "ResourceNotFoundException"
            while not (found := await self._call(*look)) or found["Table"]["TableStatus"] != "ACTIVE":
                if found is None:
                    await self._call("create_table", "ResourceInUseException", **SCHEMA)
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            await client.close()

    async def get(self, item: Item) -> Item | None:
        """Return the item of this key with its whole body. Read again if its parts were replaced in the meantime."""
        seen = None
        while found := (await self._call("get_item", Key=_key(item), ConsistentRead=True)).get("Item"):
            item = _plain(found)
            parts = await self.query(f"part:{item['version']}") if item["parts"] else []
            if len(parts) == item["parts"]:
                return {**item, "body": "".join(each["body"] for each in [item, *parts])}
            if item["version"] == seen:
                raise rb.StorageError("a session is incomplete: remove it; clear_all overlapped with its creation")
            seen = item["version"]
        return None

    async def put(self, whole: Item, *condition: Any) -> Item | None:
        """Write an item if the condition holds for the one that it replaces. Return what was written."""
        first, *rest = [whole["body"][at : at + SIZE] for at in range(0, len(whole["body"]), SIZE)]
        item = {**whole, "body": first, "version": uuid.uuid4().hex, "parts": len(rest)}
        end = {"expires_at": item["expires_at"]}
        parts = [{**key, **end, "body": body} for key, body in zip(parts_of(item), rest, strict=True)]
        await self._batch([{"PutRequest": {"Item": _wire(part)}} for part in parts])
        if await self._call("put_item", REFUSED, *condition, Item=_wire(item)) is not None:
            return {**item, "body": whole["body"]}
        await self.delete(parts_of(item))
        return None

    async def remove(self, item: Item, *condition: Any) -> None:
        """Remove an item, then its parts, if the condition holds."""
        answer = await self._call("delete_item", REFUSED, *condition, Key=_key(item), ReturnValues="ALL_OLD") or {}
        await self.delete(parts_of(_plain(answer.get("Attributes", {}))))

    async def delete(self, items: Iterable[Item]) -> None:
        await self._batch([{"DeleteRequest": {"Key": _key(item)}} for item in items])

    async def query(self, identity: str, **options: Any) -> list[Item]:
        """Return the items of an identity. A body of several parts is not whole: ``get`` reads it."""
        options |= {"KeyConditionExpression": "#identity = :identity", **NAMES}
        return await self._pages("query", ExpressionAttributeValues=_wire({":identity": identity}), **options)

    async def scan(self) -> list[Item]:
        """Return all items without their bodies. Parts come last: who deletes in this order leaves no half an item."""
        columns = "#identity, session_id, version, expires_at"
        found = await self._pages("scan", ProjectionExpression=columns, **NAMES)
        return sorted(found, key=lambda item: "version" not in item)

    async def _batch(self, requests: list[Any]) -> None:
        while requests:
            answer = await self._call("batch_write_item", RequestItems={self.name: requests[:BATCH]})
            requests = (left := answer["UnprocessedItems"].get(self.name, [])) + requests[BATCH:]
            await asyncio.sleep(0.01 * len(left))  # DynamoDB was too busy for these

    async def _pages(self, operation: str, **options: Any) -> list[Item]:
        found: list[Item] = []
        while True:
            answer = await self._call(operation, ConsistentRead=True, **options)
            found += map(_plain, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return found
            options["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def _call(self, operation: str, expected: str = "", *condition: Any, **arguments: Any) -> Any:
        """Send a request; ``None`` is the expected error. Raise ``StorageUnavailableError`` for any other."""
        if condition:
            arguments |= {"ConditionExpression": condition[0], "ExpressionAttributeValues": _wire(condition[1])}
        table = {} if "RequestItems" in arguments else {"TableName": self.name}
        try:
            async with asyncio.timeout(8):  # the wait for a connection included
                return await getattr(self.client, operation)(**table, **arguments)
        except ClientError as error:
            reason = error.response["Error"]["Code"]
        except (BotoCoreError, OSError, TimeoutError) as error:
            reason = type(error).__name__
        if reason == expected:
            return None
        raise rb.StorageUnavailableError(f"DynamoDB did not answer ({reason}); retry")  # not in the except block: EN-10


def _wire(item: Item) -> Item:
    return {name: {"S": value} if isinstance(value, str) else {"N": repr(value)} for name, value in item.items()}


def _plain(item: Item) -> Item:
    return {name: value["S"] if "S" in value else float(value["N"]) for name, value in item.items()}


def _key(item: Item) -> Item:
    return _wire({name: item[name] for name in KEYS})


def parts_of(item: Item) -> list[Item]:
    return [{"identity": f"part:{item['version']}", "session_id": f"{n:04}"} for n in range(int(item.get("parts", 0)))]
