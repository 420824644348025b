-- Puts books that were made anew in the place of lost ones, in one step: whoever calls before finds them missing or
-- paused, whoever calls after finds them whole.
--
-- KEYS     1 meta  2 rebuild  3 tips, then pairs: a key of the books, and the key where its new content was staged
-- ARGV     1 generation   the rebuild's number; it must be the one that claimed last
--          2 epoch        random word
--          3 seq          the highest number that anybody knows; this epoch begins above it
--          4 clock        ms, the furthest that the hold clock was seen
--          5 ticket       the highest that anybody knows
--          6 queues  7 counts  8 todo   msgpack, as meta keeps them
--          9 limit        units of one person in the whole show, 0 for none
--
-- Answers [word, seq]: "installed", "open" where the books are well already, "older" where another one claimed since.

local META, REBUILD, TIPS = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', REBUILD, 'generation') ~= ARGV[1] then
  return {'older', '0'}
end
local meta = redis.call('HMGET', META, 'epoch', 'paused', 'seq')
if meta[1] and not meta[2] then
  return {'open', meta[3]}
end
local time = redis.call('TIME')
-- Above every number of every earlier epoch: pages take a lower one for stale, and the fence takes it for lost.
local seq = math.max(time[1] * 1000000 + time[2], tonumber(ARGV[3]) + 1, tonumber(meta[3] or 0) + 1)
local staged = {}
for i = 4, #KEYS, 2 do
  staged[i] = redis.call('EXISTS', KEYS[i + 1]) == 1
end

-- From here on nothing can fail.
redis.call('UNLINK', META, TIPS)
for i = 4, #KEYS, 2 do
  redis.call('UNLINK', KEYS[i])
  if staged[i] then
    redis.call('RENAME', KEYS[i + 1], KEYS[i])
  end
end
local text = string.format('%.0f', seq)
redis.call('HSET', META, 'epoch', ARGV[2], 'seq', text, 'floor', text, 'clk', ARGV[4],
  'last', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), 'ticket', ARGV[5],
  'queues', ARGV[6], 'counts', ARGV[7], 'todo', ARGV[8], 'limit', ARGV[9],
  'generation', ARGV[1])
redis.call('UNLINK', REBUILD)
return {'installed', text}
