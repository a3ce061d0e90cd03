-- From here on what is sent to a node is kept, and it is told that it has all that was sent before.
-- KEYS  1 retired  2 log    ARGV  1 lease  2 node  3 for how many ms  4 node in hex  5 inbox  6 marker
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3])
local value = string.format('%.0f', ends) .. ':' .. ARGV[4]
redis.call('DEL', KEYS[2], KEYS[2] .. ':bytes')
redis.call('HSET', KEYS[1], ARGV[1], value, ARGV[2], value)
return say(ARGV[5], ARGV[6])
