-- A member's record: len(2) lease(4) clients(4) rank(1) len(1) word data.

-- Takes the records of `drop` out of a member, puts `mine` in ('' for none), and tells what that changed.
-- KEYS  1 members  2 channels, with their connections  3 wishes  4 version
local function member(channel, field, drop, me, mine, body)
  local before = redis.call('HGET', KEYS[1], field) or ''
  local out, placed, p = {}, mine == '', 1
  local was = {clients = 0, rank = -1, word = ''}
  local is = {clients = 0, rank = -1, word = '', data = ''}
  local function add(to, record)
    local clients, rank = struct.unpack('>I4B', record, 7)
    local word = string.sub(record, 13, 12 + string.byte(record, 12))
    to.clients = to.clients + clients
    if rank > to.rank then to.rank, to.word = rank, word end
    local data = string.sub(record, 13 + #word)
    if to.data == '' then to.data = data end
  end
  local function put(record)
    out[#out + 1] = record
    add(is, record)
  end
  local own = struct.pack('>I2', 4 + #mine) .. me .. mine
  while p <= #before do
    local len = struct.unpack('>I2', before, p)
    local record = string.sub(before, p, p + 1 + len)
    local id = string.sub(record, 3, 6)
    add(was, record)
    if id == me and not placed then
      put(own)
      placed = true
    elseif not drop[id] then
      put(record)
    end
    p = p + 2 + len
  end
  if not placed then put(own) end
  local after = table.concat(out)
  if after == before then return end
  if after == '' then redis.call('HDEL', KEYS[1], field) else redis.call('HSET', KEYS[1], field, after) end
  local kind = 'n'
  if before == '' then
    kind = 'j'
  elseif after == '' then
    kind = 'l'
  elseif was.rank ~= is.rank or was.word ~= is.word then
    kind = 'u'
  end
  redis.call('HINCRBY', KEYS[2], channel, is.clients - was.clients)
  if kind == 'l' and redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HDEL', KEYS[2], channel) end
  if quiet then
    redis.call('INCR', KEYS[4])
    return
  end
  local ver, rank = redis.call('INCR', KEYS[4]), math.max(is.rank, 0)
  if kind ~= 'n' then made[#made + 1] = {field, kind, rank, is.word} end
  tell('M' .. kind .. string.char(rank) .. s1(is.word) .. s4(field) .. s4(channel) .. s1(tostring(ver))
    .. struct.pack('>I4', is.clients) .. s4(is.data) .. s4(body), wishing(KEYS[3], channel, 2))
end
