-- A user's record: len(1) lease(4) rank(1) word. Ranks: 0 held, 1 away, 2 online, 3 a word of the application's.
local online = 0

-- Takes the records of `drop` out, puts `mine` in ('' for none), and tells what that changed.
local function user(key, watched, field, drop, me, mine, body)
  local before = redis.call('HGET', key, field) or ''
  local rank, word, rank2, word2, out, placed, p = 0, '', 0, '', {}, mine == '', 1
  local function put(record)
    out[#out + 1] = record
    local r = string.byte(record, 6)
    if r > rank2 then rank2, word2 = r, string.sub(record, 7) end
  end
  while p <= #before do
    local len = string.byte(before, p)
    local record = string.sub(before, p, p + len)
    local id, r = string.sub(record, 2, 5), string.byte(record, 6)
    if r > rank then rank, word = r, string.sub(record, 7) end
    if id == me and not placed then
      put(s1(me .. mine))
      placed = true
    elseif not drop[id] then
      put(record)
    end
    p = p + 1 + len
  end
  if not placed then put(s1(me .. mine)) end
  local after = table.concat(out)
  if after == before then return end
  if after == '' then redis.call('HDEL', key, field) else redis.call('HSET', key, field, after) end
  local kind
  if rank < 1 and rank2 >= 1 then
    kind, online = 'o', online + 1
  elseif rank >= 1 and rank2 < 1 then
    kind, online = 'f', online - 1
  elseif rank >= 1 and (rank ~= rank2 or word ~= word2) then
    kind = 'u'
  else
    return
  end
  if quiet then return end
  made[#made + 1] = {field, kind, rank2, word2}
  tell('U' .. kind .. string.char(rank2) .. s1(word2) .. s4(field) .. s4(body), wishing(watched, field, 4))
end

local function counted(key)
  if online ~= 0 then redis.call('INCRBY', key, online) end
end
