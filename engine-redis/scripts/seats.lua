-- Changes the seats of a user: those whose connection is named get another token, or are taken out.
-- KEYS  1 seats    ARGV  1 field  2 connection  3 token or ''
local is = redis.call('HGET', KEYS[1], ARGV[1])
if not is then return 0 end
local out = {}
for _, seat in ipairs(cjson.decode(is)) do
  if seat.connection ~= ARGV[2] then
    out[#out + 1] = seat
  elseif ARGV[3] ~= '' then
    seat.token = ARGV[3]
    out[#out + 1] = seat
  end
end
if #out == 0 then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(out))
