-- Puts a value in the place of another, if that is what is there; answers 1, or what is there.
-- KEYS  1 hash    ARGV  1 field  2 expected or ''  3 value or ''
local is = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if is ~= ARGV[2] then return is end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
