-- Says that a node has written all it has, unless its lease is gone.
-- KEYS  1 nodes  2 synced    ARGV  1 member  2 lease  3 epoch
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1
