-- To the nodes that wish for what is pushed to a channel.
-- KEYS  2 wishes    ARGV  6 channel  7 own lease
for _, id in ipairs(wishing(KEYS[2], ARGV[6], 1)) do
  if id ~= ARGV[7] then send(id) end
end
return {nodes, kept}
