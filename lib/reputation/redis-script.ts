/** Lua scripts, which Redis runs atomically. */
import { MAX_TEXT_LENGTH } from './outcomes.js';
import { MAX_HOSTS } from './store.js';

/** An identity is a hash, which has a field for each host: the time of its last change, a blank, and the outcomes; see store.ts. */
const RECORDS = `
local function read(value)
  local changed, outcomes = string.match(value or '', '^(%d+) (.+)$')
  return tonumber(changed), outcomes
end

local function write(key, host, changed, outcomes)
  redis.call('HSET', key, host, string.format('%.0f ', changed) .. outcomes)
  if redis.call('HLEN', key) <= ${MAX_HOSTS} then return end
  local oldest_host, oldest
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local time = read(fields[i + 1]) or 0
    if not oldest or time < oldest or (time == oldest and fields[i] > oldest_host) then
      oldest_host, oldest = fields[i], time
    end
  end
  redis.call('HDEL', key, oldest_host)
end

-- The key lives as long as the record that was changed last.
local function expire(key, milliseconds)
  if redis.call('PTTL', key) < milliseconds then redis.call('PEXPIRE', key, string.format('%.0f', milliseconds)) end
end
`;

/** Appends an outcome, as the store in SQLite does. KEYS: the identity. ARGV: host, outcome, now, lifetime. */
export const RECORD = `${RECORDS}
local host, outcome, now, lifetime = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local changed, outcomes = read(redis.call('HGET', KEYS[1], host))
if changed and now - changed < lifetime then outcome = string.sub(outcomes .. outcome, -${MAX_TEXT_LENGTH}) end
write(KEYS[1], host, math.max(now, (changed or 0) + 1), outcome)
expire(KEYS[1], lifetime)
`;

/**
 * Stores records that are newer, as isNewer() in TypeScript. KEYS: the identities. ARGV: now, lifetime, then host, time of change and
 * outcomes for each key. Returns the number stored.
 */
export const MERGE = `${RECORDS}
-- Operators compare strings by the locale of the server.
local function is_greater(a, b)
  for i = 1, math.min(#a, #b) do
    local difference = string.byte(a, i) - string.byte(b, i)
    if difference ~= 0 then return difference > 0 end
  end
  return #a > #b
end

local now, lifetime, merged = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
for i, key in ipairs(KEYS) do
  local host, changed, outcomes = ARGV[3 * i], tonumber(ARGV[3 * i + 1]), ARGV[3 * i + 2]
  local known, old = redis.call('HGET', key, host), nil
  if known then known, old = read(known) end
  local newer = not known or changed > known or (changed == known and is_greater(outcomes, old))
  if newer and now - changed < lifetime then
    write(key, host, changed, outcomes)
    expire(key, lifetime - (now - changed))
    merged = merged + 1
  end
end
return merged
`;

/** Lists records. KEYS: identities. ARGV: since. Returns a key, a host and a value for each record. */
export const LIST = `${RECORDS}
local found = {}
for _, key in ipairs(KEYS) do
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local changed = read(fields[i + 1])
    if changed and changed >= tonumber(ARGV[1]) then
      found[#found + 1], found[#found + 2], found[#found + 3] = key, fields[i], fields[i + 1]
    end
  end
end
return found
`;

/** Removes records of hosts. KEYS: identities. ARGV: until. Returns the number removed. */
export const CLEAN = `${RECORDS}
local removed = 0
for _, key in ipairs(KEYS) do
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local changed = read(fields[i + 1])
    if changed and changed <= tonumber(ARGV[1]) then removed = removed + redis.call('HDEL', key, fields[i]) end
  end
end
return removed
`;
