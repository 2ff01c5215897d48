/** Lua scripts, which Redis runs atomically. */
import { PASS_INTERVAL } from './client-record.js';

/** A triple is a hash with the fields first, last and count; see rules.ts. */
const IS_EXPIRED = `
local function is_expired(first, last, count, now, window, lifetime)
  if count == 0 then return now < first or now - first >= window end
  return now - last >= lifetime
end
`;

/**
 * Records an attempt, as recordAttempt(), isWhitelisted() and recordPass() do in TypeScript. A client is a hash with the fields
 * passes, counted and seen; see client-record.ts.
 *
 * KEYS: the triple, the client. ARGV: now, delay, window, lifetime, in milliseconds, and autoWhitelist. Returns the count.
 */
export const CHECK = `${IS_EXPIRED}
local now, delay, window, lifetime, needed =
  tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local passes, counted, seen = 0, 0, 0
if needed > 0 then
  local client = redis.call('HMGET', KEYS[2], 'passes', 'counted', 'seen')
  passes, counted, seen = tonumber(client[1]), tonumber(client[2]), tonumber(client[3])
  if not (passes and counted and seen) or now - seen >= lifetime then passes = 0 end
  if passes >= needed then
    if now > seen then redis.call('HSET', KEYS[2], 'seen', ARGV[1]) end
    redis.call('PEXPIRE', KEYS[2], lifetime)
    return passes
  end
end

local known = redis.call('HMGET', KEYS[1], 'first', 'last', 'count')
local first, last, count = tonumber(known[1]), tonumber(known[2]), tonumber(known[3])
if not (first and last and count) or is_expired(first, last, count, now, window, lifetime) then
  -- HSET comes first, because Redis refuses it when its memory is full, but not after another write in the same script
  redis.call('HSET', KEYS[1], 'first', ARGV[1], 'last', ARGV[1], 'count', 0)
  redis.call('PEXPIRE', KEYS[1], window)
  return 0
end
if count == 0 and now - first < delay then return 0 end
-- ARGV[1] instead of now, because Lua would write the number with fewer digits
if now > last then redis.call('HSET', KEYS[1], 'last', ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], lifetime)
count = redis.call('HINCRBY', KEYS[1], 'count', 1)

if needed > 0 and count == 1 and (passes == 0 or now - counted >= ${PASS_INTERVAL}) then
  local last_seen = ARGV[1]
  if passes > 0 and seen > now then last_seen = redis.call('HGET', KEYS[2], 'seen') end
  redis.call('HSET', KEYS[2], 'passes', passes + 1, 'counted', ARGV[1], 'seen', last_seen)
  redis.call('PEXPIRE', KEYS[2], lifetime)
end
return count
`;

/** Removes expired triples. KEYS: triples. ARGV: now, window, lifetime. Returns the number removed. */
export const CLEAN = `${IS_EXPIRED}
local now, window, lifetime = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local removed = 0
for _, key in ipairs(KEYS) do
  local known = redis.call('HMGET', key, 'first', 'last', 'count')
  local first, last, count = tonumber(known[1]), tonumber(known[2]), tonumber(known[3])
  if first and last and count and is_expired(first, last, count, now, window, lifetime) then
    removed = removed + redis.call('DEL', key)
  end
end
return removed
`;
