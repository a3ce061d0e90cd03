-- Takes out what dead nodes wished for, of a part; answers where the next part begins, '0' after the last.
-- KEYS  1 wishes    ARGV  1 cursor  2 about how many, then the leases
local dead = {}
for i = 3, #ARGV do dead[ARGV[i]] = true end
local scanned = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local all = scanned[2]
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
return scanned[1]
