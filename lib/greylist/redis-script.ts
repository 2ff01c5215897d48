/** What Redis does by itself, at once, for each try. */

/** Fields of a triple's hash: first, last, count; see rules.ts. */
const IS_OVER = `
local function is_over(first, last, count, now, window, lifetime)
  if count == 0 then return now < first or now - first >= window end
  return now - last >= lifetime
end
`;

/**
 * Notes a try; afterTry() says the same in TypeScript.
 *
 * KEYS: the triple. ARGV: now, delay, window, lifetime, in milliseconds. Returns the count.
 */
export const CHECK = `${IS_OVER}
local now, delay, window, lifetime =
  tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('HMGET', KEYS[1], 'first', 'last', 'count')
local first, last, count = tonumber(known[1]), tonumber(known[2]), tonumber(known[3])
if not (first and last and count) or is_over(first, last, count, now, window, lifetime) then
  -- HSET first: it is what Redis refuses where its memory is full; after another write it would let it pass
  redis.call('HSET', KEYS[1], 'first', ARGV[1], 'last', ARGV[1], 'count', 0)
  redis.call('PEXPIRE', KEYS[1], window)
  return 0
end
if count == 0 and now - first < delay then return 0 end
-- the text as it came: a number of Lua would be written back with fewer digits
if now > last then redis.call('HSET', KEYS[1], 'last', ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], lifetime)
return redis.call('HINCRBY', KEYS[1], 'count', 1)
`;

/** Removes those of KEYS that are over. ARGV: now, window, lifetime. Returns how many. */
export const CLEAN = `${IS_OVER}
local now, window, lifetime = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local removed = 0
for _, key in ipairs(KEYS) do
  local known = redis.call('HMGET', key, 'first', 'last', 'count')
  local first, last, count = tonumber(known[1]), tonumber(known[2]), tonumber(known[3])
  if first and last and count and is_over(first, last, count, now, window, lifetime) then
    removed = removed + redis.call('DEL', key)
  end
end
return removed
`;
