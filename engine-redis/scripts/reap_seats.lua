-- Takes the seats of dead nodes out.
-- KEYS  1 seats    ARGV  the leases, in hex
local dead = {}
for _, id in ipairs(ARGV) do dead[id] = true end
local all = redis.call('HGETALL', KEYS[1])
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
return 0
