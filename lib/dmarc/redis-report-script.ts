/**
 * Lua scripts, which Redis runs atomically. A report is a hash: the fields `policy`, `begin` and `end`, and for each row its JSON with the
 * number of messages. A sorted set has the names of all reports, and a counter the number of their rows.
 */

/** Fields of a report's hash that are no rows. */
const FACTS = 3;

/** Counts a message. KEYS: names, total, report. ARGV: name, begin, end, policy, row, maxRows, maxRowsPerReport. Returns 1 or 0. */
export const ADD = `
local names, total, report = KEYS[1], KEYS[2], KEYS[3]
local name, begin, finish, policy, row = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('HEXISTS', report, row) == 1 then
  redis.call('HINCRBY', report, row, 1)
  return 1
end
local rows = math.max(redis.call('HLEN', report) - ${FACTS}, 0)
local all = tonumber(redis.call('GET', total) or '0')
if all >= tonumber(ARGV[6]) or rows >= tonumber(ARGV[7]) then return 0 end
redis.call('HSET', report, 'policy', policy, 'begin', begin, 'end', finish, row, 1)
redis.call('ZADD', names, 0, name)
redis.call('INCR', total)
return 1
`;

/** Finds a report that has ended. KEYS: names. ARGV: now, after, prefix of reports. Returns its name and fields, or nothing. */
export const NEXT = `
local after = ARGV[2] == '' and '-' or '(' .. ARGV[2]
local name = redis.call('ZRANGEBYLEX', KEYS[1], after, '+', 'LIMIT', 0, 1)[1]
if not name then return {} end
local report = ARGV[3] .. name
if tonumber(redis.call('HGET', report, 'end')) >= tonumber(ARGV[1]) then return {} end
return { name, redis.call('HGETALL', report) }
`;

/** Removes a report. KEYS: names, total, report. ARGV: name. */
export const REMOVE = `
local rows = redis.call('HLEN', KEYS[3]) - ${FACTS}
redis.call('ZREM', KEYS[1], ARGV[1])
if rows < 0 then return end
redis.call('DEL', KEYS[3])
redis.call('DECRBY', KEYS[2], rows)
`;
