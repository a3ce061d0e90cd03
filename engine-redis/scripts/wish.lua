-- A node wishes for something, or no more.
-- KEYS  1 wishes    ARGV  1 field  2 lease  3 flag  4 '1' for yes
local packed, out, flags = redis.call('HGET', KEYS[1], ARGV[1]) or '', {}, 0
for p = 1, #packed, 5 do
  if string.sub(packed, p, p + 3) == ARGV[2] then
    flags = string.byte(packed, p + 4)
  else
    out[#out + 1] = string.sub(packed, p, p + 4)
  end
end
local flag = tonumber(ARGV[3])
flags = ARGV[4] == '1' and bit.bor(flags, flag) or bit.band(flags, bit.bnot(flag))
if flags > 0 then out[#out + 1] = ARGV[2] .. string.char(flags) end
if #out > 0 then
  return redis.call('HSET', KEYS[1], ARGV[1], table.concat(out))
end
return redis.call('HDEL', KEYS[1], ARGV[1])
