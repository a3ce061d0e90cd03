-- Writes what is true on one node of members of one channel.
-- KEYS  as above
-- ARGV  1 lease  2 firehose, '' to tell nobody  3 inboxes  4 header  5 channel, then for each: field, record without lease or '', body
local me = ARGV[1]
quiet = ARGV[2] == ''
local drop = {[me] = true}
for i = 6, #ARGV, 3 do member(ARGV[5], ARGV[i], drop, me, ARGV[i + 1], ARGV[i + 2]) end
publish(ARGV[2], ARGV[3], ARGV[4])
return made
