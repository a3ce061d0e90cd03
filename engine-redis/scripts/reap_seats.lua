-- Takes the seats of dead nodes out of a part; answers where the next part begins, '0' after the last.
-- KEYS  1 seats    ARGV  1 cursor  2 about how many, then the leases, in hex
local dead = {}
for i = 3, #ARGV do dead[ARGV[i]] = true end
local scanned = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local all = scanned[2]
for i = 1, #all, 2 do
  local seats, out = cjson.decode(all[i + 1]), {}
  for _, seat in ipairs(seats) do
    if not dead[seat.lease] then out[#out + 1] = seat end
  end
  if #out == 0 then
    redis.call('HDEL', KEYS[1], all[i])
  elseif #out < #seats then
    redis.call('HSET', KEYS[1], all[i], cjson.encode(out))
  end
end
return scanned[1]
