-- Takes the records of dead nodes out of one bucket.
-- KEYS  1 bucket  2 count  3 watched
-- ARGV  1 firehose  2 inboxes  3 header  4 body, then the leases
local drop = {}
for i = 5, #ARGV do drop[ARGV[i]] = true end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do user(KEYS[1], KEYS[3], all[i], drop, '', '', ARGV[4]) end
counted(KEYS[2])
publish(ARGV[1], ARGV[2], ARGV[3])
return made
