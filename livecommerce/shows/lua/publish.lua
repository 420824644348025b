-- Gives public events of one show their place: dense offsets from 1 within an epoch, kept in the news and published.
--
-- KEYS[1] hash    epoch, offset (last given), logged (highest id of the show log that was published)
-- KEYS[2] stream  the news: entry id "<offset>-0", fields a = at_ms, l = log id, e = event bytes (msgpack)
-- KEYS[3] channel of the show
-- ARGV[1] epoch to begin with where none is known (a show's first event, or all data of Redis was lost)
-- ARGV[2] how many news entries to keep, about
-- ARGV[3…] per event: log id (0: not from the log), at_ms, event bytes
-- Answers {epoch, last offset, {offset per event}}; an event whose log id was published before keeps its offset.
-- With no events it only says, or makes, the position.

local function offsets_by_log_id()
  local found = {}
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
    local fields = entry[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'l' then found[fields[i + 1]] = tonumber(string.match(entry[1], '^(%d+)')) end
    end
  end
  return found
end

local head = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'logged')
local epoch, offset, logged = head[1], tonumber(head[2] or 0), tonumber(head[3] or 0)
local fresh = not epoch
if fresh then epoch, offset, logged = ARGV[1], 0, 0 end

-- plan
local offsets, additions, seen = {}, {}, nil
for i = 3, #ARGV, 3 do
  local log_id = tonumber(ARGV[i])
  if log_id > 0 and log_id <= logged then
    seen = seen or offsets_by_log_id()
    offsets[#offsets + 1] = seen[ARGV[i]] or 0
  else
    offset = offset + 1
    if log_id > 0 then logged = log_id end
    offsets[#offsets + 1] = offset
    additions[#additions + 1] = {offset, ARGV[i], ARGV[i + 1], ARGV[i + 2]}
  end
end

-- write
if fresh then redis.call('DEL', KEYS[2]) end
if fresh or #additions > 0 then
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', offset, 'logged', logged)
end
for _, one in ipairs(additions) do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], one[1] .. '-0', 'a', one[3], 'l', one[2], 'e', one[4])
  redis.call('PUBLISH', KEYS[3], cmsgpack.pack({'state', epoch, one[1], tonumber(one[3]), one[4]}))
end
return {epoch, offset, offsets}
