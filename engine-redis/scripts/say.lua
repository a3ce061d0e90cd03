-- Publishes, and answers how many heard it. In a Redis Cluster, where names have braces, to the shard's own channels.
local function say(channel, text)
  return redis.call(string.find(channel, '{', 1, true) and 'SPUBLISH' or 'PUBLISH', channel, text)
end
