-- The triage of one show: what waits for a moderator, in clusters, each in at most one pair of hands.
--
-- KEYS  1 items    HASH  item → cmsgpack of its record
--       2 order    ZSET  waiting items by urgency: the second they came, an hour earlier for every further copy
--       3 claims   ZSET  items in hand by the instant (ms) at which the lease ends
--       4 index    HASH  what a line is compared by → its item
--       5 handed   LIST  instants (ms) at which items were handed out for the first time, at most ARGV 'a minute'
-- ARGV  1 verb, 2 now in ms, then
--       offer  item, waiting most, copies most, least groups shared, record (cmsgpack), groups …
--              → [item it went into, copies, 1 where it is new], or [] where too many wait
--       take   account, most in hand, lease ms, a minute  → records of all that account has in hand
--       renew  lease ms, accounts …                       → items renewed
--       back   account, item or ''                        → items given back
--       see    item                                       → record, or ''
--       done   item                                       → 1 where it was there
--       count                                             → [waiting, in hand]
-- A record: id, kind, since, count, lines [[line, viewer, name, text, shown]], why, card, title, groups, holder, until.

local items, order, claims, index, handed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local verb, now = ARGV[1], tonumber(ARGV[2])
local COPY_AGE, HELD_AGE = 3600, 1800
local KEPT_SECONDS = 7 * 86400 -- of a show in which nothing new came; the log has it all

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

local function give_back(record)
  redis.call('ZREM', claims, record.id)
  record.holder, record.until_ms = '', 0
  keep(record)
  redis.call('ZADD', order, urgency(record), record.id)
end

local function lapse()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', claims, '-inf', now)) do
    local record = read(id)
    if record then give_back(record) else redis.call('ZREM', claims, id) end
  end
end

local function in_hand_of(account)
  local found = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', claims, '-inf', '+inf')) do
    local record = read(id)
    if record and record.holder == account then found[#found + 1] = record end
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

local function forget(record)
  for _, group in ipairs(record.groups) do
    if redis.call('HGET', index, group) == record.id then redis.call('HDEL', index, group) end
  end
  redis.call('ZREM', order, record.id)
  redis.call('ZREM', claims, record.id)
  return redis.call('HDEL', items, record.id)
end

local function offer()
  local waiting_max, copies_max, least = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local fresh, groups = cmsgpack.unpack(ARGV[7]), {}
  for at = 8, #ARGV do groups[#groups + 1] = ARGV[at] end
  local id = like(groups, least)
  local record = id and read(id)
  if record and record.kind == fresh.kind then
    local known = {}
    for _, line in ipairs(record.lines) do known[line[1]] = true end
    for _, line in ipairs(fresh.lines) do
      if not known[line[1]] then
        record.count = record.count + 1
        if #record.lines < copies_max then record.lines[#record.lines + 1] = line end
      end
    end
    keep(record)
    if record.holder == '' then redis.call('ZADD', order, urgency(record), record.id) end
    return { record.id, record.count, 0 }
  end
  if redis.call('ZCARD', order) >= waiting_max then return {} end
  fresh.id, fresh.since, fresh.groups = ARGV[3], now, groups
  fresh.count, fresh.holder, fresh.until_ms, fresh.handed = #fresh.lines, '', 0, false
  keep(fresh)
  for _, group in ipairs(groups) do redis.call('HSET', index, group, fresh.id) end
  redis.call('ZADD', order, urgency(fresh), fresh.id)
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, KEPT_SECONDS) end
  return { fresh.id, fresh.count, 1 }
end

local function take()
  local account, hand_max, lease, a_minute = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local mine = in_hand_of(account)
  local recent = 0
  for _, at in ipairs(redis.call('LRANGE', handed, 0, -1)) do
    if tonumber(at) > now - 60000 then recent = recent + 1 end
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', order, '-inf', '+inf')) do
    if #mine >= hand_max then break end
    local record = read(id)
    if not record then
      redis.call('ZREM', order, id)
    elseif record.handed or recent < a_minute then
      if not record.handed then
        recent = recent + 1
        redis.call('RPUSH', handed, ARGV[2])
        redis.call('LTRIM', handed, -a_minute, -1)
      end
      record.handed, record.holder = true, account
      mine[#mine + 1] = record
      redis.call('ZREM', order, id)
    end
  end
  local packed = {}
  for at, record in ipairs(mine) do
    record.until_ms = now + lease
    keep(record)
    redis.call('ZADD', claims, record.until_ms, record.id)
    packed[at] = cmsgpack.pack(record)
  end
  return packed
end

local function renew()
  local lease, renewed = tonumber(ARGV[3]), 0
  for at = 4, #ARGV do
    for _, record in ipairs(in_hand_of(ARGV[at])) do
      record.until_ms = now + lease
      keep(record)
      redis.call('ZADD', claims, record.until_ms, record.id)
      renewed = renewed + 1
    end
  end
  return renewed
end

local function back()
  local given = 0
  for _, record in ipairs(in_hand_of(ARGV[3])) do
    if ARGV[4] == '' or ARGV[4] == record.id then
      give_back(record)
      given = given + 1
    end
  end
  return given
end

lapse()
if verb == 'offer' then return offer() end
if verb == 'take' then return take() end
if verb == 'renew' then return renew() end
if verb == 'back' then return back() end
if verb == 'see' then return redis.call('HGET', items, ARGV[3]) or '' end
if verb == 'done' then
  local record = read(ARGV[3])
  return record and forget(record) or 0
end
return { redis.call('ZCARD', order), redis.call('ZCARD', claims) }
