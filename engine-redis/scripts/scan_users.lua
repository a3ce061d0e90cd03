-- Whose records stand in one bucket: the users of a lease, and all leases.
-- KEYS  1 bucket    ARGV  1 lease
local mine, leases, seen = {}, {}, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local records, p = all[i + 1], 1
  while p <= #records do
    local id = string.sub(records, p + 1, p + 4)
    if id == ARGV[1] then mine[#mine + 1] = all[i] end
    if not seen[id] then
      seen[id] = true
      leases[#leases + 1] = id
    end
    p = p + 1 + string.byte(records, p)
  end
end
return {mine, leases}
