-- Writes what is true on one node of users of one bucket.
-- KEYS  1 bucket  2 count  3 watched
-- ARGV  1 lease  2 firehose, '' to tell nobody  3 inboxes  4 header, then for each user: field, record without lease or '', body
local me = ARGV[1]
quiet = ARGV[2] == ''
local drop = {[me] = true}
for i = 5, #ARGV, 3 do user(KEYS[1], KEYS[3], ARGV[i], drop, me, ARGV[i + 1], ARGV[i + 2]) end
counted(KEYS[2])
publish(ARGV[2], ARGV[3], ARGV[4])
return made
