"""Values on which serializers, drivers and databases go wrong, by kind, each with its source.

Each is within the bounds of ``SessionData``. The suite writes every entry by create and by update, sealed and in
clear, and reads it by ``get_session`` and by the listing, on one handle and on another.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pytest_mcp_storage.oracle.edge_cases import EDGE_CASE_TEXTS, MOMENTS
from pytest_mcp_storage.oracle.limits import LARGEST_NUMBER

IV, TAG = "0123456789ab" * 2, "0123456789abcdef" * 2

# Texts that a reader takes for something else, or that a column, an encoder or a template changes.
TEXTS: tuple[str, ...] = (
    *EDGE_CASE_TEXTS,
    # envelopes and ciphertexts: this contract's, Fernet, Vault, age, JWE, crypt(3)
    "enc:", "enc:1:", f"enc:1:{IV}:{TAG}:00", f"enc:2:{IV}:{TAG}:00", f"ENC:1:{IV}:{TAG}:00", f" enc:1:{IV}:{TAG}:00",
    f"enc:{IV}:{TAG}:00", "encrypted:x", "gAAAAABm", "vault:v1:AAAA", "age-encryption.org/v1",
    "eyJhbGciOiJkaXIifQ..a.b.c",
    "$2b$12$abcdefghijklmnopqrstuv", "{cipher}AAAA", "ENC(AAAA)",
    # words for nothing and for numbers: PHP, YAML 1.1 (the Norway problem), CSV, JavaScript
    "None", "nil", "undefined", "NaN", "Infinity", "-Infinity", "yes", "no", "on", "off", "NO", "~", "\\N", "N/A",
    "#N/A",
    "0", "1", "-1", "-0", "00", "1.0", "1.50", "1e5", "1E400", "0x1F", "0o17", "0b1", "1_000", "12:30:45", "+5", "1,5",
    "9007199254740993", "1" * 40, "true ", "False",
    # dates and durations that are parsed and printed again: ISO 8601, RFC 3339, RFC 1123, .NET, Java
    "2026-11-25", "2026-11-25T12:00:00", "2026-11-25T12:00:00+01:00", "2026-11-25T12:00:00.000Z", "20261125T120000Z",
    "2026-11-25 12:00:00", "Wed, 25 Nov 2026 12:00:00 GMT", "/Date(1700000000123)/", "PT1H", "P1D", "1700000000123",
    # URLs, addresses, identifiers that are normalised
    "http://MCP.Example:80/", "https://mcp.example", "https://mcp.example/", "https://mcp.example/a/./b/../c?",
    "https://mcp.example/%7Ea?b=%20+c#", "https://user:pw@mcp.example/", "http://[::1]:8080/",
    "https://b\u00fccher.example/",
    "https://xn--bcher-kva.example/", "A@B.Example", "127.0.0.1", "::ffff:127.0.0.1", "+49 30 1", "{550e8400-e29b}",
    # markup, templates, escapes and paths
    "<b>&nbsp;</b>", "&#x41;", "%00", "%u0041", "\\u0041", "\\x41\\n", "{{7*7}}", "${7*7}", "<%= 7 %>", "%(a)s", "{a}",
    "$1",
    "C:\\temp\\new", "../../a", "file:///a", "data:;base64,QQ==", "javascript:1", "=1+1", "@a", "--", "/* a */", "a;b",
    "\x1b[0m",
    # JSON, YAML, XML and serialized objects as text: encoded twice, decoded once too often
    "{}", "[]", '""', '"a"', "[1, 2]", '{"a":1.0}', "{'a': 1}", "null ", "a: 1", "- a", "--- a", "<a/>",
    "a:1:{i:0;i:1;}", "O:1:\"A\":0:{}",
    "gASVBQAAAAAAAACMAWGULg==", "rO0ABXQAAWE=", "QQ==", "QQ", "-_8=", "48656c6c6f", "0xdeadbeef", "b'a'", "u'a'",
    "!!python/object:a.B",
    # white space and controls: trimmed, folded, cut
    "\n", "\t", "\r", " a", "a ", "a\n", "\na", "a\r\n", "a\t\tb", "a  b", "\u00a0a\u00a0", "\u3000", "\u200ba",
    "a\u200b", "\x08", "\x1a", "\x7f",
    "a\u2028b", "a\x85b", "\x0b\x0c", "a\x1fb",
    # Unicode: normal forms, planes, private use, direction, what UTF-8 and UTF-16 lengths disagree on
    "\u212b", "\ufb01", "\u1e69", "s\u0323\u0307", "\uac00", "\u1100\u1161", "\ue000", "\ufffe", "\ufffd",
    "\U0001f468\u200d\U0001f469",
    "\U0001f1e9\U0001f1ea", "\u202eabc", "\u0131\u0130", "\U00020000", "\u00c3\u00a9", "\u00e9" * 128,
    "\U0001f600" * 64,
)  # fmt: skip

# Objects that a serializer marks in band, and so revives, or keys that a language or a database treats as its own.
OBJECTS: tuple[dict[str, Any], ...] = (
    # langgraphjs#2346, langgraph#7892 (LangChain's constructors), jsonpickle, simplejson, Celery's kombu, Django
    {"lc": 1, "type": "constructor", "id": ["a", "B"], "kwargs": {"a": 1}},
    {"lc": 2, "type": "constructor", "id": ["a"]},
    {"lc": 1, "type": "secret", "id": ["A"]}, {"lc": 1, "type": "not_implemented", "id": ["a"]},
    {"py/object": "a.B", "x": 1}, {"py/tuple": [1, 2]}, {"py/set": [1]}, {"py/type": "a.B"}, {"py/id": 1},
    {"py/b64": "QQ=="},
    {"__type__": "datetime", "__value__": "2026-11-25T00:00:00"}, {"__class__": "A", "__module__": "a"},
    {"__complex__": True, "real": 1},
    {"__datetime__": "2026-11-25"}, {"__decimal__": "1.0"}, {"__bytes__": "QQ=="}, {"__set__": [1]},
    {"__tuple__": True, "items": [1]},
    {"__ndarray__": [1], "dtype": "float64"}, {"__dataclass__": "A", "a": 1}, {"__enum__": "A.B"},
    {"__jsonclass__": ["A", []]},
    {"_type": "date", "value": "2026-11-25"}, {"_isoformat": "2026-11-25"}, {"@type": "A", "a": 1}, {"@class": "a.B"},
    {"@id": "1"},
    {"$type": "System.Int32", "$value": 1}, {"$id": "1", "a": {"$ref": "1"}}, {"$ref": "#/a"}, {"$values": [1]},
    {"class": "A"},
    # MongoDB extended JSON, EJSON, Firestore, DynamoDB's attribute values, CouchDB, Elasticsearch
    {"$date": "2026-11-25T00:00:00Z"}, {"$date": 1}, {"$date": {"$numberLong": "1"}},
    {"$oid": "507f1f77bcf86cd799439011"},
    {"$numberLong": "1"}, {"$numberInt": "1"}, {"$numberDouble": "NaN"}, {"$numberDecimal": "1.0"},
    {"$binary": "QQ==", "$type": "00"},
    {"$undefined": True}, {"$minKey": 1}, {"$regex": "a", "$options": ""}, {"$set": {"a": 1}}, {"$inc": 1},
    {"$unset": ""}, {"$in": []},
    {"$InfNaN": 1}, {"$escape": {"$date": 1}}, {"a.b": 1, "a": {"b": 2}}, {"$where": "1"}, {"S": "a"}, {"N": "1"},
    {"B": "QQ=="},
    {"NULL": True}, {"BOOL": True}, {"L": []}, {"M": {"a": {"S": "b"}}}, {"SS": ["a"]}, {"stringValue": "a"},
    {"nullValue": None},
    {"_id": "a", "_rev": "1"}, {"_index": "a", "_source": {}}, {"_seconds": 1, "_nanoseconds": 2},
    {"seconds": 1, "nanos": 2},
    # JavaScript: Buffer, Map, superjson, devalue, flatted, telejson, prototypes, numeric keys, toJSON
    {"type": "Buffer", "data": [1, 2, 255]}, {"dataType": "Map", "value": [["a", 1]]},
    {"json": {"a": 1}, "meta": {"values": {"a": ["Date"]}}},
    {"__proto__": {"a": 1}}, {"constructor": {"prototype": {"a": 1}}},
    {"prototype": 1, "toString": "a", "valueOf": 1, "hasOwnProperty": 1},
    {"toJSON": 1, "then": 1, "length": 3, "0": "a", "1": "b", "2": "c"}, {"10": 1, "9": 2, "a": 3, "1": 4},
    {"_isBigNumber": True},
    {"__esModule": True, "default": 1}, {"$$typeof": "a"}, {"_value": 1}, {"a": ["Date", "2026-11-25"]},
    {"$jsan": "d1"},
    # pointers and wrappers of stores themselves
    {"$blob": "a"}, {"$ref": "a", "$db": "b"}, {"$sealed": "a"}, {"_encrypted": True, "data": "a"},
    {"ciphertext": "a", "iv": "b", "tag": "c"},
    {"s3": "a"}, {"blob": "a"}, {"_compressed": "eJwDAAAAAAE="}, {"encoding": "base64", "data": "QQ=="},
    {"value": "a"}, {"data": {}},
    {"data": None}, {"items": []}, {"v": 1, "d": {}}, {"0": "a"}, {"": ""}, {" ": 1}, {"null": None},
    {"a": None, "b": None},
    # keys that are cut, folded, split, sorted or used as paths
    {"a": 1, "A": 2}, {"\u00e9": 1, "e\u0301": 2}, {"a b": 1, "a+b": 2, "a%20b": 3}, {"a[b]": 1, "a[]": [2]},
    {"a/b": 1, "a~1b": 2},
    {"snake_case": 1, "snakeCase": 2, "SnakeCase": 3, "snake-case": 4}, {"b": 1, "a": 2, "c": 3}, {"k" * 300: 1},
    {"\u2028": 1, "\x01": 2},
    {"\ufeffa": 1, "a": 2}, {"a ": 1, " a": 2, "a": 3}, {"1": "a", "01": "b", "1.0": "c"}, {"true": 1, "null": 2},
    {"'": 1, '"': 2, "`": 3},
    # nothing, and what is nearly nothing
    {}, {"a": {}}, {"a": []}, {"a": [None]}, {"a": [[]]}, {"a": [{}]}, {"a": ""}, {"a": 0}, {"a": False},
    {"a": [None, {"b": None}]},
    # numbers around which representations change (IEEE 754, int32, int64, Lua, SQLite, PHP)
    {"n": [0, -0.0, 1.0, 1.5, 0.1, 1e15, 1e-7, 5e-324, 2**31 - 1, 2**31, 2**32, LARGEST_NUMBER, -LARGEST_NUMBER]},
    {"n": [127, 128, 255, 256, 32767, 32768, 65535, 65536, 16777216, 16777217, 2**40, 123456789.123456789]},
    {"n": [0.30000000000000004, 1 / 3, 2 / 3, 1e-300, 1.7976931348623157e10, 100.0, 1e2, 1e15 + 0.5, 4.35, 2.675]},
    {"mixed": [1, "1", 1.0, True, None, [], {}, "true", "", [1, [2, [3, []]]]]},
    {"same": [1, 1, 1, "a", "a", {"a": 1}, {"a": 1}]},
    {"order": ["b", "a", "c", 10, 9, 1]}, {"deep": {"a": {"b": {"c": {"d": {"e": {"f": [{"g": {}}]}}}}}}},
)  # fmt: skip

CLIENT_SECRETS: tuple[Any, ...] = (
    0, 1, -1, 1.5, True, False, "", "a", " ", "null", "1", "true", [], ["a"], [1, None], {}, {"a": 1},
    {"client_secret": 1},
)  # fmt: skip
"""Values of a ``client_secret``: JSON of every kind, which a store that seals it must return as it was."""


def _fold(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


# The second of two hours that wall clocks show twice (IANA time zones, 2026), half an hour in; leap days and ends of
# ranges: 32-bit seconds, NTP eras, FAT and ext4 times, spreadsheets' days, the Gregorian rule of centuries.
FOLDS: tuple[int, ...] = tuple(
    _fold(*moment)
    for moment in (
        (2026, 10, 25, 1, 30), (2026, 10, 25, 0, 30), (2026, 10, 24, 23, 30), (2026, 11, 1, 6, 30),
        (2026, 11, 1, 7, 30),
        (2026, 11, 1, 8, 30), (2026, 11, 1, 9, 30), (2026, 11, 1, 10, 30), (2026, 11, 1, 5, 30), (2026, 11, 1, 4, 30),
        (2026, 11, 1, 3, 0), (2026, 4, 4, 16, 30), (2026, 4, 4, 15, 45), (2026, 4, 4, 14, 30), (2026, 4, 4, 16, 0),
        (2026, 4, 5, 3, 30), (2026, 4, 5, 4, 30), (2026, 10, 30, 21, 30), (2026, 10, 29, 22, 30), (2026, 3, 22, 3, 30),
        (2025, 10, 26, 1, 30), (2025, 11, 2, 6, 30), (2027, 10, 31, 1, 30), (2027, 11, 7, 6, 30), (2026, 3, 29, 1, 30),
        (2026, 3, 8, 7, 30), (2024, 2, 29, 12), (2028, 2, 29, 23, 59), (2100, 2, 28, 23, 59), (2100, 3, 1),
        (2100, 3, 2, 12),
        (2000, 2, 29), (1999, 12, 31, 23, 59), (2036, 2, 7, 6, 28, 16), (2038, 1, 19, 3, 14, 8),
        (2106, 2, 7, 6, 28, 16),
        (2107, 12, 31, 23, 59, 58), (2262, 4, 11, 23, 47, 17), (2446, 5, 10, 22, 38, 55), (1970, 1, 1, 0, 0, 1),
        (1970, 1, 2),
        (2001, 9, 9, 1, 46, 40), (2016, 12, 31, 23, 59, 59), (2026, 12, 28), (2027, 1, 3, 23), (9999, 12, 31, 23, 59),
    )
)  # fmt: skip
FRACTIONS = (1, 10, 57, 100, 123, 290, 500, 570, 999)
"""Milliseconds, some of which no float of seconds or days holds exactly."""
ALL_MOMENTS: tuple[int, ...] = tuple(
    dict.fromkeys((*MOMENTS, *FOLDS, *(FOLDS[0] + part for part in FRACTIONS), *(10**12 + part for part in FRACTIONS)))
)

COUNTS = (101, 257, 513, 1_001, 2_001, 5_001, 10_001, 65_537)
"""Keys of an object, and items of a list: one more than limits of parsers and of databases."""
