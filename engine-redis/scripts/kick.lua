-- Writes a question into the log that every beat reads, and asks it at once.
-- KEYS  1 kick log    ARGV  1 question  2 channel of everybody  3 about so many entries are kept
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'q', ARGV[1])
return say(ARGV[2], ARGV[1])
