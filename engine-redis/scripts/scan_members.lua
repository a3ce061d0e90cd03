-- Whose records stand in a part of a channel: the members of a lease, all leases, and where the next part begins.
-- KEYS  1 members    ARGV  1 lease  2 cursor  3 about how many
local mine, leases, seen = {}, {}, {}
local scanned = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
for i = 1, #scanned[2], 2 do
  local records, p = scanned[2][i + 1], 1
  while p <= #records do
    local id = string.sub(records, p + 2, p + 5)
    if id == ARGV[1] then mine[#mine + 1] = scanned[2][i] end
    if not seen[id] then
      seen[id] = true
      leases[#leases + 1] = id
    end
    p = p + 2 + struct.unpack('>I2', records, p)
  end
end
return {scanned[1], mine, leases}
