-- To the nodes that have a user.
-- KEYS  2 bucket    ARGV  6 field  7 own lease
local records, seen, p = redis.call('HGET', KEYS[2], ARGV[6]) or '', {[ARGV[7]] = true}, 1
while p <= #records do
  local id = string.sub(records, p + 1, p + 4)
  if not seen[id] then
    seen[id] = true
    send(id)
  end
  p = p + 1 + string.byte(records, p)
end
return {nodes, kept}
