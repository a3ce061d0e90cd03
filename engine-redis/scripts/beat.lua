-- Says that a node is alive, and learns who else is.
-- KEYS  1 nodes  2 meta  3 kick log  4 retired nodes
-- ARGV  1 member  2 lease, ms  3 an epoch, if there is none  4 '1' to register  5 the inbox  6 what comes back there
--       7 last kick read, '' for none, 'minute' for what was told within one  8 layout  9 the node's name, '' for none  10 at most so many kicks
--       11 channel of everybody  12 what is said there of a node that registered
-- Answers {verdict, epoch, live, dead, hearers, retired, last kick, kicks, those who left and are taken for alive} or {'layout', what is there}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local me, lease, name = ARGV[1], tonumber(ARGV[2]), ARGV[9]
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'beat', 'layout', 'name:' .. name)
local epoch, last, layout, named = meta[1], tonumber(meta[2]), meta[3], meta[4]

if layout and layout ~= ARGV[8] then return {'layout', layout} end
if not epoch then
  epoch = ARGV[3]
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'layout', ARGV[8])
end

if last and (now - last > lease / 2 or now < last - lease) then
  -- Nobody could beat, or the clock was set back: Redis was away, and nobody dies of that.
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(0', '+inf')) do
    if now < last then
      redis.call('ZADD', KEYS[1], now + lease, node)
    else
      redis.call('ZADD', KEYS[1], 'GT', now + lease, node)
    end
  end
end
redis.call('HSET', KEYS[2], 'beat', now)

if ARGV[4] == '1' then
  -- Who believed to be alone looks again.
  say(ARGV[11], ARGV[12])
  if name ~= '' then
    -- Whoever had the name before is dead at once.
    if named and named ~= me then redis.call('ZADD', KEYS[1], 'XX', 0, named) end
    -- Names of nodes that are gone are free: where each start has another one they would become ever more.
    local all = redis.call('HGETALL', KEYS[2])
    for i = 1, #all, 2 do
      if string.sub(all[i], 1, 5) == 'name:' and not redis.call('ZSCORE', KEYS[1], all[i + 1]) then
        redis.call('HDEL', KEYS[2], all[i])
      end
    end
    redis.call('HSET', KEYS[2], 'name:' .. name, me)
  end
else
  -- Before all else: two of one name must not take it from each other for ever.
  if name ~= '' and named and named ~= me then return {'replaced', epoch} end
  local held = redis.call('ZSCORE', KEYS[1], me)
  if not held then return {'gone', epoch} end
  if tonumber(held) < now then return {'expired', epoch} end
end
redis.call('ZADD', KEYS[1], 'GT', now + lease, me)

local kicks, read = {}, ARGV[7]
if read == 'minute' then read = string.format('%.0f-0', now - 60000) end
if read == '' then
  local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
  read = newest[1] and newest[1][1] or '0-0'
else
  for _, entry in ipairs(redis.call('XRANGE', KEYS[3], '(' .. read, '+', 'COUNT', ARGV[10])) do
    read = entry[1]
    kicks[#kicks + 1] = entry[2][2]
  end
end

local retired, kept, away = redis.call('HGETALL', KEYS[4]), 0, {}
for i = 1, #retired, 2 do
  if (tonumber(string.match(retired[i + 1], '^%d+')) or 0) < now then
    redis.call('HDEL', KEYS[4], retired[i])
  elseif #retired[i] == 8 then
    away[#away + 1] = retired[i]
  else
    kept = kept + 1
  end
end

local hearers = say(ARGV[5], ARGV[6])
local live = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)
return {'ok', epoch, live, dead, hearers, kept, read, kicks, away}
