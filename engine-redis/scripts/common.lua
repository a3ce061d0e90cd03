-- What the scripts of the directory share. An entry's value is its records, one for each node that has it; what a script
-- changes it tells: `told` to everybody who hears everything, `heard` by lease to those who wish for it, `made` to the caller;
-- nobody, where it is `quiet`.
local told, heard, made, quiet = {}, {}, {}, false

local function hex(id) return string.format('%02x%02x%02x%02x', string.byte(id, 1, 4)) end
local function s1(text) return string.char(#text) .. text end
local function s4(text) return struct.pack('>I4', #text) .. text end

local function tell(event, leases)
  told[#told + 1] = event
  for _, id in ipairs(leases) do
    local events = heard[id] or {}
    events[#events + 1] = event
    heard[id] = events
  end
end

-- One frame for each receiver.
local function publish(firehose, inbox, header)
  if quiet then return end
  if #told > 0 then say(firehose, header .. table.concat(told)) end
  for id, events in pairs(heard) do
    say(inbox .. hex(id), header .. table.concat(events))
  end
end

-- Who wishes for an entry: leases, each with a byte of what it wishes.
local function wishing(key, field, flag)
  local packed, leases = redis.call('HGET', key, field) or '', {}
  for p = 1, #packed, 5 do
    if bit.band(string.byte(packed, p + 4), flag) ~= 0 then leases[#leases + 1] = string.sub(packed, p, p + 3) end
  end
  return leases
end
