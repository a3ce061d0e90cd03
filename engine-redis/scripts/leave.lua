-- Ends a lease by the node's own will.
-- KEYS  1 nodes  2 retired  3 synced  4 meta
-- ARGV  1 member  2 '' if nothing of it is left, else for how many ms it is to be taken for alive, 0 for dead at once
--       3 the lease  4 the node's name, '' for none
if ARGV[4] ~= '' and redis.call('HGET', KEYS[4], 'name:' .. ARGV[4]) == ARGV[1] then
  redis.call('HDEL', KEYS[4], 'name:' .. ARGV[4])
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[3], ARGV[3])
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
local stay = tonumber(ARGV[2])
if stay == 0 then return redis.call('ZADD', KEYS[1], 'XX', 0, ARGV[1]) end
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + stay
-- Nobody asks it anything any more.
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', ends))
return redis.call('ZADD', KEYS[1], 'XX', ends, ARGV[1])
