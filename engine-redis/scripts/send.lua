-- Sends a frame to nodes, and keeps it for those that retired. The part behind the frame's head is what is kept.
-- KEYS  1 retired    ARGV  1 frame  2 inboxes  3 logs  4 most frames  5 most bytes
local nodes, kept = 0, 0

local function keep(until_and_node)
  local ends, node = string.match(until_and_node, '^(%d+):(%x+)$')
  local log = ARGV[3] .. node
  local count, bytes = redis.call('LLEN', log), tonumber(redis.call('GET', log .. ':bytes')) or 0
  local full = count >= tonumber(ARGV[4]) or bytes + #ARGV[1] > tonumber(ARGV[5])
  -- An empty frame says that some are missing, and nothing follows it.
  if full and count > 0 and redis.call('LINDEX', log, -1) == '' then return end
  redis.call('RPUSH', log, full and '' or string.sub(ARGV[1], 15))
  redis.call('INCRBY', log .. ':bytes', #ARGV[1])
  redis.call('PEXPIREAT', log, ends)
  redis.call('PEXPIREAT', log .. ':bytes', ends)
  if not full then kept = kept + 1 end
end

local function send(id)
  local retired = redis.call('HGET', KEYS[1], id)
  if retired then
    keep(retired)
  elseif say(ARGV[2] .. hex(id), ARGV[1]) > 0 then
    nodes = nodes + 1
  end
end
