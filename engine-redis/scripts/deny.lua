-- Adds deny entries of one kind and name; what has lapsed goes.
-- KEYS  1 entries    ARGV  1 now in ms, then for each: entry, until in ms
local now, last = tonumber(ARGV[1]), 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if tonumber(all[i + 1]) <= now then
    redis.call('HDEL', KEYS[1], all[i])
  else
    last = math.max(last, tonumber(all[i + 1]))
  end
end
for i = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  last = math.max(last, tonumber(ARGV[i + 1]))
end
return redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))
