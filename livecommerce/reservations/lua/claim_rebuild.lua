-- Takes the right to make a show's books anew; from here on an older leader can install nothing.
--
-- KEYS     1 meta  2 rebuild
-- ARGV[1]  generation: number of this rebuild in SQL, which grows with each
--
-- Answers [word, generation before, seq, ticket, hold clock in ms, UTC ms when it stood there, counts]: "open" where the books are well, "older"
-- where a newer generation stands here, else "claimed"; what meta does not know is 0 or "".

local meta = redis.call('HMGET', KEYS[1], 'epoch', 'paused', 'seq', 'ticket', 'clk', 'last', 'counts')
local before = tonumber(redis.call('HGET', KEYS[2], 'generation') or 0)
local known = {meta[3] or '0', meta[4] or '0', meta[5] or '0', meta[6] or '0', meta[7] or ''}
local word = 'claimed'
if meta[1] and not meta[2] then
  word = 'open'
elseif before > tonumber(ARGV[1]) then
  word = 'older'
end
if word == 'claimed' then
  redis.call('HSET', KEYS[2], 'generation', ARGV[1])
end
return {word, before, unpack(known)}
