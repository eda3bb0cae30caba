"""The Lua scripts of the store. Redis runs each of them as one atomic step.

Session values pass through them as bytes and are never parsed: Lua's cjson turns ``[]`` into ``{}`` and keeps 14
digits of a number. All keys of a call share a slot of Redis Cluster. The keys of the hashes in an index are built from
the key of the index, so a script that takes an index uses the hashes of its identity only.

With a key, an update first looks at one field, ``sealed``, which says that the hash holds no secret in clear (MX-5).
Without that field each update would have to return the secrets that it did not name, or the script to parse them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1

_SHARED = """
local function hash_of(index, member)
  return string.sub(index, 1, -2) .. ':' .. member
end

local function packed(member, hash)
  local row = redis.call('HGETALL', hash)
  if #row == 0 then return false end
  return member .. '\\0' .. #row .. '\\0' .. table.concat(row, '\\0')
end

local function live(hash, now)
  local ends = redis.call('HGET', hash, 'expires_at')
  return ends and tonumber(ends) > tonumber(now)
end
"""


@dataclass(frozen=True)
class Script:
    """A script, and the digest that EVALSHA takes after the script has run once."""

    body: str
    source: bytes = field(init=False)
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        source = f"{_SHARED}{self.body}".encode()
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "digest", sha1(source, usedforsecurity=False).hexdigest().encode())


COMMANDS = (
    *("EXISTS", "HDEL", "HEXISTS", "HGET", "HGETALL", "HSET", "PERSIST", "PEXPIREAT", "PTTL", "SCAN", "UNLINK"),
    *("ZADD", "ZRANGE", "ZRANGEBYSCORE", "ZREM", "ZREMRANGEBYSCORE", "ZREVRANGE"),
)
"""Every command that a script runs. The user needs the right to run these, EVAL and EVALSHA."""

TRY = Script("""
-- KEYS hash, index, neither of which exists
local denied = {}
local function try(command, ...)
  local answer = redis.pcall(command, ...)
  local said = type(answer) == 'table' and answer['err'] or ''
  if string.find(said, 'ACL failure', 1, true) or string.find(said, 'NOPERM', 1, true)
    or string.find(said, 'The user executing the script', 1, true) then
    denied[#denied + 1] = command
    return false
  end
  return true
end
local removable = try('UNLINK', KEYS[1])
try('EXISTS', KEYS[1])
try('HDEL', KEYS[1], 'f')
try('HEXISTS', KEYS[1], 'f')
try('HGET', KEYS[1], 'f')
try('HGETALL', KEYS[1])
try('PERSIST', KEYS[1])
try('PEXPIREAT', KEYS[1], 1)
try('PTTL', KEYS[1])
try('SCAN', 0, 'MATCH', KEYS[1], 'COUNT', 1)
try('ZADD', KEYS[2], 'XX', 0, 'm')
try('ZRANGE', KEYS[2], 0, 0)
try('ZRANGEBYSCORE', KEYS[2], 0, 0)
try('ZREM', KEYS[2], 'm')
try('ZREMRANGEBYSCORE', KEYS[2], 0, 0)
try('ZREVRANGE', KEYS[2], 0, 0)
-- The one command that can't be tried without effect.
if removable then
  try('HSET', KEYS[1], 'f', 'v')
  redis.pcall('UNLINK', KEYS[1])
end
return denied
""")
"""Returns the commands that this user may not run on the store's keys. Other errors are ignored here."""

# The native expiry (PEXPIREAT) only frees memory: it is much later than the expiry of the session. A key that was
# written with an injected clock has none, and never gets one.

CREATE = Script("""
-- KEYS hash, index; ARGV now, expiry, native expiry or '', member, field, value, ...
if live(KEYS[1], ARGV[1]) then return 0 end
local bounded = ARGV[3] ~= ''
local index_bounded = bounded and redis.call('PTTL', KEYS[2]) ~= -1
-- UNLINK only if there is something to remove: after one write, a server without memory allows all writes of a script.
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('UNLINK', KEYS[1]) end
redis.call('HSET', KEYS[1], 'expires_at', ARGV[2], unpack(ARGV, 5))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[4])
if bounded then redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end
if index_bounded then
  local slack = ARGV[3] - ARGV[2]
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1] - slack)
  local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', last + slack))
else
  redis.call('PERSIST', KEYS[2])
end
return 1
""")
"""1: created; 0: a live session exists."""

UPDATE = Script("""
-- KEYS hash, index; ARGV now, expiry, native expiry or '', member, '1' to leave no secret in clear,
-- number of fields to remove, those, then field, value, ...
if not live(KEYS[1], ARGV[1]) then return 0 end
if ARGV[5] == '1' and redis.call('HEXISTS', KEYS[1], 'sealed') == 0 then return 2 end
local removed = tonumber(ARGV[6])
if removed > 0 then redis.call('HDEL', KEYS[1], unpack(ARGV, 7, 6 + removed)) end
redis.call('HSET', KEYS[1], 'expires_at', ARGV[2], unpack(ARGV, 7 + removed))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[4])
if ARGV[3] == '' then
  redis.call('PERSIST', KEYS[1])
  redis.call('PERSIST', KEYS[2])
else
  if redis.call('PTTL', KEYS[1]) ~= -1 then redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end
  if redis.call('PTTL', KEYS[2]) ~= -1 then
    local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
    redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', last + (ARGV[3] - ARGV[2])))
  end
end
return 1
""")
"""1: updated; 0: no live session; 2: secrets may be stored in clear, so seal them, then retry."""

SEAL = Script("""
-- KEYS hash; ARGV for each secret field: its name, '=' .. its value or '' if missing, its new value or ''
for i = 1, #ARGV, 3 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  if (held and '=' .. held or '') ~= ARGV[i + 1] then return 0 end
end
for i = 1, #ARGV, 3 do
  if ARGV[i + 2] ~= '' then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
end
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'sealed', '1') end
return 1
""")
"""1: all secrets are sealed; 0: they have changed since they were read."""

READ = Script("""
-- KEYS hash; ARGV member
return packed(ARGV[1], KEYS[1])
""")
"""Returns the packed row, or nothing."""

LIST = Script("""
-- KEYS index; ARGV now
local rows = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf')) do
  local row = packed(member, hash_of(KEYS[1], member))
  if row then rows[#rows + 1] = row end
end
return rows
""")
"""Returns the packed rows of an identity's live sessions."""

NAMES = Script("""
-- KEYS indexes; ARGV now
local names = {}
for i, index in ipairs(KEYS) do
  names[i] = table.concat(redis.call('ZRANGEBYSCORE', index, '(' .. ARGV[1], '+inf'), '\\0')
end
return names
""")
"""Returns the live members of each index, joined by NULs."""

REMOVE = Script("""
-- KEYS hash, index; ARGV member
redis.call('UNLINK', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
""")

# The next scripts may have to remove any number of sessions. Each session is removed completely, hash and member.
# After a number of sessions they return 0, so that the server can serve other clients: call them again.

SWEEP = Script("""
-- KEYS indexes; ARGV now, how many sessions at most
local room = tonumber(ARGV[2])
for _, index in ipairs(KEYS) do
  local members = redis.call('ZRANGEBYSCORE', index, '-inf', ARGV[1], 'LIMIT', 0, room)
  for _, member in ipairs(members) do
    redis.call('UNLINK', hash_of(index, member))
    redis.call('ZREM', index, member)
  end
  room = room - #members
  if room <= 0 then return 0 end
end
return 1
""")
"""Removes the expired sessions of the indexes."""

CLEAR = Script("""
-- KEYS indexes, then hashes; ARGV number of indexes, how many sessions at most
local room = tonumber(ARGV[2])
for i, key in ipairs(KEYS) do
  if i <= tonumber(ARGV[1]) then
    local members = redis.call('ZRANGE', key, 0, room - 1)
    for _, member in ipairs(members) do
      redis.call('UNLINK', hash_of(key, member))
      redis.call('ZREM', key, member)
    end
    room = room - #members
    if room <= 0 then return 0 end
  else
    redis.call('UNLINK', key)
  end
end
return 1
""")
"""Removes all sessions of the indexes, and hashes that no index names."""
