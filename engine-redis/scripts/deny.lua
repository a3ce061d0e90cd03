-- Adds deny entries of one kind and name; what has lapsed goes, and what a newer one says as well.
-- KEYS  1 entries    ARGV  for each: what it is of, when it lapses, until when tokens were issued, both in ms, the entry
-- A value is 'until issued entry'. Where neither of two says all that the other one does, both stay.
local time = redis.call('TIME')
local now, last = time[1] * 1000 + time[2] / 1000, 0
local function times(value)
  local til, at = string.match(value, '^(%d+) (%d+) ')
  return tonumber(til) or 0, tonumber(at) or 0
end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local til = times(all[i + 1])
  if til <= now then redis.call('HDEL', KEYS[1], all[i]) else last = math.max(last, til) end
end
for i = 1, #ARGV, 4 do
  local field, til, at = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local til2, at2 = times(redis.call('HGET', KEYS[1], field) or '')
  if til2 > til or at2 > at then
    if til2 >= til and at2 >= at then
      field = nil
    else
      field = field .. ' ' .. ARGV[i + 1]
      local _, at3 = times(redis.call('HGET', KEYS[1], field) or '')
      if at3 > at then field = nil end
    end
  end
  if field then redis.call('HSET', KEYS[1], field, ARGV[i + 1] .. ' ' .. ARGV[i + 2] .. ' ' .. ARGV[i + 3]) end
  last = math.max(last, til)
end
return redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))
