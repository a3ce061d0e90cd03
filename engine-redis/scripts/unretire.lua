-- What is sent to a node goes to it again; it is told from where on. Answers what was kept for it.
-- KEYS  1 retired  2 log    ARGV  1 lease  2 node  3 inbox  4 marker
redis.call('HDEL', KEYS[1], ARGV[1], ARGV[2])
local kept = redis.call('LRANGE', KEYS[2], 0, -1)
redis.call('DEL', KEYS[2], KEYS[2] .. ':bytes')
say(ARGV[3], ARGV[4])
return kept
