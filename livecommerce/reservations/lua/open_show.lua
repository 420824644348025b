-- Makes the books of a show, once. A show whose books are missing refuses everything: missing means "rebuild", not zero.
--
-- KEYS     1 meta  2 rebuild
-- ARGV[1] epoch  random word; it changes only when the books are made anew. '' makes none where they are missing
-- ARGV[2] limit  units of one person in the whole show, 0 for none; '' leaves it as it is
--
-- Answers the epoch that holds now, '' where there are no books: none were asked for, or a rebuild found them missing
-- first. From its claim on it alone makes them. It writes down what it decided before it installs, and books that others
-- made and used meanwhile would be told ends of holds that live.

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch then
  if ARGV[2] ~= '' then
    redis.call('HSET', KEYS[1], 'limit', ARGV[2])
  end
  return epoch
end
if ARGV[1] == '' or redis.call('EXISTS', KEYS[2]) == 1 then
  return ''
end

local time = redis.call('TIME')
-- seq starts at microseconds since 1970: no show makes a million calls a second, so the numbers of a later epoch are
-- always above those of an earlier one, and "a lower version is stale" holds across a rebuild too.
local seq = string.format('%.0f', time[1] * 1000000 + time[2])
local last = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
-- floor: the seq at which this epoch began; no tip of an earlier one is in its ring.
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', seq, 'floor', seq, 'clk', 0, 'last', last, 'ticket', 0,
  'limit', ARGV[2] ~= '' and ARGV[2] or 0)
return ARGV[1]
