-- The triage of one show: what waits for a moderator, in clusters, each in at most one pair of hands.
--
-- KEYS  1 items    HASH  item → cmsgpack of its record
--       2 order    ZSET  waiting items by urgency: the second they came, an hour earlier for every further copy; those
--                        that were in hand before stand in front of all others
--       3 claims   ZSET  items in hand by the instant (ms) at which the lease ends
--       4 index    HASH  what a line is compared by → its item; 'a' and an open question → its item; 'x' and an item in
--                        hand of which a question was answered elsewhere → 1
--       5 handed   LIST  instants (ms) at which items were handed out for the first time, at most ARGV 'a minute'
--       6 hands    HASH  item in hand → its urgency, a blank, the account that has it
--       7 passed   ZSET  account, a blank, an item she put away, by the instant (ms) until which she does not get it
-- ARGV  1 verb, 2 now in ms, then
--       offer  item, waiting most, copies most, least groups shared, record (cmsgpack), groups …
--              → [item it went into, copies, 1 where it is new], or [] where too many wait
--       take   account, most in hand, lease ms, a minute  → records of all that account has in hand, the most urgent first
--       renew  lease ms, accounts …                       → items renewed
--       back   account, item or '', passed for ms         → items given back; one that was named is passed by her
--       see    item                                       → [record, account that has it or ''], or []
--       done   item, copies read, lines read …            → 1 where it was there; what joined since waits again
--       closed question                                   → 1 where an item is gone with it
--       count                                             → [waiting, in hand]
-- A record: id, kind, since, count, lines [[line, viewer, name, text, shown]], why, card, title, groups.
--
-- Redis does nothing else meanwhile, and a record may have hundreds of lines: so who has what, and what was in hand
-- before, stands beside the records, which are unpacked only where their lines change, one in a call.

local items, order, claims, index, handed, hands, passed = unpack(KEYS)
local verb, now = ARGV[1], tonumber(ARGV[2])
local COPY_AGE, HELD_AGE = 3600, 1800
local IN_FRONT = 1e12 -- no urgency comes near it
local PASSED_SEEN_MAX = 100 -- items that were in hand before, looked at in one call
local LAPSED_MAX = 4 -- leases ended in one call; the next call goes on
local KEPT_SECONDS = 7 * 86400 -- of a show in which nothing new came; the log has it all

local function expire()
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, KEPT_SECONDS) end
end

local function read(id)
  local packed = redis.call('HGET', items, id)
  return packed and cmsgpack.unpack(packed) or nil
end

local function keep(record)
  redis.call('HSET', items, record.id, cmsgpack.pack(record))
end

local function urgency(record)
  local first = record.kind == 'held' and HELD_AGE or 0
  return math.floor(record.since / 1000) - record.count * COPY_AGE - first
end

-- Where it waits: before all others where it was in hand before.
local function queue(record)
  local was = tonumber(redis.call('ZSCORE', order, record.id) or 0)
  redis.call('ZADD', order, urgency(record) - (was < -IN_FRONT / 2 and IN_FRONT or 0), record.id)
end

-- Its urgency and the account that has it; nothing where it is in nobody's hands.
local function hand_of(id)
  local value = redis.call('HGET', hands, id)
  if not value then return nil end
  local score, account = string.match(value, '^(%S+) (.*)$')
  return tonumber(score), account
end

local function forget(record)
  for _, group in ipairs(record.groups) do
    if redis.call('HGET', index, group) == record.id then redis.call('HDEL', index, group) end
  end
  if record.kind == 'question' then
    for _, line in ipairs(record.lines) do redis.call('HDEL', index, 'a' .. line[1]) end
  end
  redis.call('HDEL', index, 'x' .. record.id)
  redis.call('HDEL', hands, record.id)
  redis.call('ZREM', order, record.id)
  redis.call('ZREM', claims, record.id)
  return redis.call('HDEL', items, record.id)
end

-- Only the lines that `stays` says; an item without any is gone. True where it is.
local function thin(record, stays)
  local lines = {}
  for _, line in ipairs(record.lines) do
    if stays(line) then lines[#lines + 1] = line elseif record.kind == 'question' then
      redis.call('HDEL', index, 'a' .. line[1])
    end
  end
  record.count = math.max(#lines, record.count - (#record.lines - #lines))
  record.lines = lines
  if #lines == 0 then
    forget(record)
    return true
  end
  keep(record)
  return false
end

local function is_open(line) return redis.call('HEXISTS', index, 'a' .. line[1]) == 1 end

-- Out of the hands it is in, before all that nobody had yet. Two moderators never have it, nor is it counted again.
local function give_back(id)
  local score = hand_of(id)
  redis.call('ZREM', claims, id)
  redis.call('HDEL', hands, id)
  if redis.call('HDEL', index, 'x' .. id) == 1 then
    local record = read(id)
    if not record or thin(record, is_open) then return end
    score = urgency(record)
  end
  if score and redis.call('HEXISTS', items, id) == 1 then redis.call('ZADD', order, score - IN_FRONT, id) end
  expire()
end

local function lapse()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', claims, '-inf', now, 'LIMIT', 0, LAPSED_MAX)) do give_back(id) end
end

-- [item, urgency] of each that she has.
local function in_hand_of(account)
  local found, all = {}, redis.call('HGETALL', hands)
  for at = 1, #all, 2 do
    local score, holder = string.match(all[at + 1], '^(%S+) (.*)$')
    if holder == account then found[#found + 1] = { all[at], tonumber(score) } end
  end
  return found
end

local function like(groups, least)
  local shared, best, most = {}, nil, 0
  if #groups == 0 then return nil end
  for _, id in ipairs(redis.call('HMGET', index, unpack(groups))) do
    if id then
      shared[id] = (shared[id] or 0) + 1
      if shared[id] > most then best, most = id, shared[id] end
    end
  end
  return most >= math.min(least, #groups) and best or nil
end

local function mark_open(record, lines)
  if record.kind ~= 'question' then return end
  for _, line in ipairs(lines) do redis.call('HSET', index, 'a' .. line[1], record.id) end
end

local function join(record, fresh, copies_max)
  local known, joined = {}, {}
  for _, line in ipairs(record.lines) do known[line[1]] = true end
  for _, line in ipairs(fresh.lines) do
    if not known[line[1]] then
      record.count = record.count + 1
      if #record.lines < copies_max then
        record.lines[#record.lines + 1] = line
        joined[#joined + 1] = line
      end
    end
  end
  keep(record)
  mark_open(record, joined)
  local score, account = hand_of(record.id)
  if score then
    redis.call('HSET', hands, record.id, urgency(record) .. ' ' .. account)
  else
    queue(record)
  end
end

local function offer()
  local waiting_max, copies_max, least = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local fresh, groups = cmsgpack.unpack(ARGV[7]), {}
  for at = 8, #ARGV do groups[#groups + 1] = ARGV[at] end
  local id = like(groups, least)
  -- Whoever answers questions answers those she read. Copies of a line say what she read, and go where it goes.
  local is_read = fresh.kind == 'question' and id and hand_of(id)
  local record = id and not is_read and read(id)
  if record and record.kind == fresh.kind then
    join(record, fresh, copies_max)
    expire()
    return { record.id, record.count, 0 }
  end
  if redis.call('ZCARD', order) >= waiting_max then return {} end
  fresh.id, fresh.since, fresh.groups, fresh.count = ARGV[3], now, groups, #fresh.lines
  keep(fresh)
  mark_open(fresh, fresh.lines)
  for _, group in ipairs(groups) do redis.call('HSET', index, group, fresh.id) end
  redis.call('ZADD', order, urgency(fresh), fresh.id)
  expire()
  return { fresh.id, fresh.count, 1 }
end

local function take()
  local account, hand_max, lease, a_minute = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local mine, recent = in_hand_of(account), 0
  local function hold(id, score)
    redis.call('ZREM', order, id)
    if redis.call('HEXISTS', items, id) == 0 then return false end
    redis.call('HSET', hands, id, score .. ' ' .. account)
    mine[#mine + 1] = { id, score }
    return true
  end
  local seen = #mine < hand_max
    and redis.call('ZRANGEBYSCORE', order, '-inf', -IN_FRONT / 2, 'WITHSCORES', 'LIMIT', 0, PASSED_SEEN_MAX) or {}
  for at = 1, #seen, 2 do
    if #mine >= hand_max then break end
    local until_ms = redis.call('ZSCORE', passed, account .. ' ' .. seen[at])
    if not until_ms or tonumber(until_ms) <= now then hold(seen[at], tonumber(seen[at + 1]) + IN_FRONT) end
  end
  for _, at in ipairs(redis.call('LRANGE', handed, 0, -1)) do
    if tonumber(at) > now - 60000 then recent = recent + 1 end
  end
  local most = math.min(hand_max - #mine, a_minute - recent)
  if most > 0 then
    local new = redis.call('ZRANGEBYSCORE', order, -IN_FRONT / 2, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
    for at = 1, #new, 2 do
      if hold(new[at], tonumber(new[at + 1])) then redis.call('RPUSH', handed, ARGV[2]) end
    end
    redis.call('LTRIM', handed, -a_minute, -1)
  end
  table.sort(mine, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
  local packed = {}
  for _, one in ipairs(mine) do
    redis.call('ZADD', claims, now + lease, one[1])
    packed[#packed + 1] = redis.call('HGET', items, one[1])
  end
  expire()
  return packed
end

local function renew()
  local lease, renewed = tonumber(ARGV[3]), 0
  for at = 4, #ARGV do
    for _, one in ipairs(in_hand_of(ARGV[at])) do
      redis.call('ZADD', claims, now + lease, one[1])
      renewed = renewed + 1
    end
  end
  return renewed
end

local function back()
  local account, named, given = ARGV[3], ARGV[4], 0
  redis.call('ZREMRANGEBYSCORE', passed, '-inf', now)
  for _, one in ipairs(in_hand_of(account)) do
    if named == '' or named == one[1] then
      if named ~= '' then redis.call('ZADD', passed, now + tonumber(ARGV[5]), account .. ' ' .. named) end
      give_back(one[1])
      given = given + 1
    end
  end
  return given
end

local function done()
  local record, were_read = read(ARGV[3]), {}
  if not record then return 0 end
  for at = 5, #ARGV do were_read[ARGV[at]] = true end
  local more = math.max(0, record.count - tonumber(ARGV[4]))
  if not thin(record, function(line) return not were_read[line[1]] end) then
    record.count = math.max(#record.lines, more)
    keep(record)
    redis.call('HSET', hands, record.id, urgency(record) .. ' ')
    give_back(record.id)
  end
  return 1
end

local function closed()
  local id = redis.call('HGET', index, 'a' .. ARGV[3])
  if not id then return 0 end
  redis.call('HDEL', index, 'a' .. ARGV[3])
  if hand_of(id) then -- she may be writing: what she sees stays until she is done with it, or gives it back
    redis.call('HSET', index, 'x' .. id, 1)
    return 0
  end
  local record = read(id)
  if not record then return 0 end
  if thin(record, function(line) return line[1] ~= ARGV[3] end) then return 1 end
  queue(record)
  return 0
end

lapse()
if verb == 'offer' then return offer() end
if verb == 'take' then return take() end
if verb == 'renew' then return renew() end
if verb == 'back' then return back() end
if verb == 'see' then
  local packed = redis.call('HGET', items, ARGV[3])
  local _, account = hand_of(ARGV[3])
  return packed and { packed, account or '' } or {}
end
if verb == 'done' then return done() end
if verb == 'closed' then return closed() end
return { redis.call('ZCARD', order), redis.call('ZCARD', claims) }
