/**
 * Lua scripts, which Redis runs atomically. A report is a hash: the fields `policy`, `begin` and `end`, and for each row its JSON with the
 * number of messages. A sorted set has the names of all reports, and a hash the number of rows of each, and their sum in its field with the empty name.
 *
 * Redis may evict a report, or an operator may delete it. Its name and its number of rows are removed as soon as that is noticed.
 */

/** Fields of a report's hash that are no rows. */
const FACTS = 3;

/** How many names without a report NEXT removes in one call, during which Redis serves no other client. */
const MAX_MISSING = 1000;

/** Takes the rows of a report out of the sum, which has no entry any more when nothing is left. */
const FORGET = `
local function forget(counts, name)
  local rows = redis.call('HGET', counts, name)
  if not rows then return end
  redis.call('HDEL', counts, name)
  if redis.call('HINCRBY', counts, '', -tonumber(rows)) <= 0 then redis.call('HDEL', counts, '') end
end
`;

/** Counts a message. KEYS: names, counts, report. ARGV: name, begin, end, policy, row, maxRows, maxRowsPerReport. Returns 1 or 0. */
export const ADD = `${FORGET}
local names, counts, report = KEYS[1], KEYS[2], KEYS[3]
local name, begin, finish, policy, row = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('HEXISTS', report, row) == 1 then
  redis.call('HINCRBY', report, row, 1)
  return 1
end
local rows = redis.call('HLEN', report) - ${FACTS}
if rows < 0 then
  rows = 0
  forget(counts, name)
end
local all = tonumber(redis.call('HGET', counts, '') or '0')
if all >= tonumber(ARGV[6]) or rows >= tonumber(ARGV[7]) then return 0 end
redis.call('HSET', report, 'policy', policy, 'begin', begin, 'end', finish, row, 1)
redis.call('ZADD', names, 0, name)
redis.call('HINCRBY', counts, name, 1)
redis.call('HINCRBY', counts, '', 1)
return 1
`;

/**
 * Finds a report that has ended. KEYS: names, counts. ARGV: now, after, prefix of reports. Returns its name and fields, an empty list if
 * there is none, or nil if there may be one behind the names that were removed: to be called again.
 */
export const NEXT = `${FORGET}
local after = ARGV[2] == '' and '-' or '(' .. ARGV[2]
for _ = 1, ${MAX_MISSING} do
  local name = redis.call('ZRANGEBYLEX', KEYS[1], after, '+', 'LIMIT', 0, 1)[1]
  if not name then return {} end
  local report = ARGV[3] .. name
  local finish = tonumber(redis.call('HGET', report, 'end') or '')
  if finish then
    if finish >= tonumber(ARGV[1]) then return {} end
    return { name, redis.call('HGETALL', report) }
  end
  redis.call('ZREM', KEYS[1], name)
  forget(KEYS[2], name)
end
return false
`;

/** Removes a report. KEYS: names, counts, report. ARGV: name. */
export const REMOVE = `${FORGET}
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
forget(KEYS[2], ARGV[1])
`;
