-- Takes the records of dead nodes out of a part of a channel; answers where the next part begins, '0' after the last.
-- KEYS  as above
-- ARGV  1 firehose  2 inboxes  3 header  4 body  5 channel  6 cursor  7 about how many, then the leases
local drop = {}
for i = 8, #ARGV do drop[ARGV[i]] = true end
local scanned = redis.call('HSCAN', KEYS[1], ARGV[6], 'COUNT', ARGV[7])
for i = 1, #scanned[2], 2 do member(ARGV[5], scanned[2][i], drop, '', '', ARGV[4]) end
publish(ARGV[1], ARGV[2], ARGV[3])
return {scanned[1], made}
