-- Takes out what dead nodes wished for.
-- KEYS  1 wishes    ARGV  the leases
local dead = {}
for _, id in ipairs(ARGV) do dead[id] = true end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local packed, out = all[i + 1], {}
  for p = 1, #packed, 5 do
    if not dead[string.sub(packed, p, p + 3)] then out[#out + 1] = string.sub(packed, p, p + 4) end
  end
  if #out == 0 then
    redis.call('HDEL', KEYS[1], all[i])
  elseif #out * 5 < #packed then
    redis.call('HSET', KEYS[1], all[i], table.concat(out))
  end
end
return 0
