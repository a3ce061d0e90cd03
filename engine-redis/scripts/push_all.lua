-- To everybody, this node too, which is not counted.    ARGV  6 channel of everybody
local seen, all = {}, redis.call('HGETALL', KEYS[1])
for i = 2, #all, 2 do
  if #all[i - 1] == 4 and not seen[all[i]] then
    seen[all[i]] = true
    keep(all[i])
  end
end
return {math.max(say(ARGV[6], ARGV[1]) - 1, 0), kept}
