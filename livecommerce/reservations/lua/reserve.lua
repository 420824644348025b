-- Decides up to 64 requests about the stock of one show in one call: reserve, and every other move of units.
--
-- Three phases: read what the requests name, plan in Lua tables (a viewer or a deal may appear many times), write. Lua
-- does not roll back, so nothing may fail after the first write: every check stands before it.
--
-- KEYS     1 meta  2 deals  3 rids  4 viewers  5 queues  6 waits  7 paying  8 moves  9 journal  10 tips  11 channel
-- ARGV[1]  msgpack: [tip, offer_ms, journal_entries_max, [request, …], witness seq, witness tip]
--   tip       random word of the caller, kept in a ring: proves later that this call's writes still exist
--   request   [verb, …], see the table VERBS at the end; times in ms, quantities in units
--   witness   seq and tip of the last call that the caller was answered, 0 and "" for none: see the history fence
--
-- Answers msgpack: [epoch, seq, hold clock in ms, next due on it or -1, {deal: level}, [answer, …]], or [false, why]
-- where nobody may count: 0 the books are missing, 1 they are paused, 2 history is lost, and this call has paused them.
-- level: [available, held, paying, sold, waiting, level]. answer: [code, …], see the codes below.
--
-- Records
--   deal      [status, quota, available, held, paying, sold, waiting, limit, hold_ms, pay_ms, opens_at_ms, closes_at_ms,
--              units taken out so far, level, rule for a head that wants more (0 skip, 1 wait), offers owed (0, 1),
--              whom the limit counts (0 the viewer, 1 who is verified, 2 a member), cap per address, cap on hold time in ms,
--              draw or false (place 20; absent in books made anew of a deal that is not drawn)]
--   draw      [phase, entrants, ticket before the first drawn one, drawn so far, of them in the line, root]; the root is
--             what all entrants come to in one hash, "" until the first of them has a place
--   hold      [state, ticket, due, at, n, place, attribution, wait, charged, deal, qty, deal, qty, …]; due and at on the
--             hold clock; charged is 0 where only units of "viewer/deal" are counted, 1 where its time held is too, else
--             [how many of the names that follow count time, name, amount, name, amount, …]
--   viewers   "viewer" → her live rids; "viewer/deal" → ms held unpaid × 2^20 + 2 × her units + 1 where she waits. Where
--             rules ask for more: "~person/deal" in its place for deals that count persons, "@address/deal" → units of
--             an address, "viewer/" and "~person/" → units in the whole show
--   queues    "duration:i" → [due, viewer/rid, …], heads and tails in meta: one entry per call and duration, so the
--             price of the queue is shared by the batch, and since each queue has one duration it is in order of due.
--             Holds that a break lengthened stand in queues of their own, named beyond the longest duration
--   longer    in meta: [number of the last break that lengthened holds, ms, holds it lengthened, holds that a cap kept
--             from it, queues named so far, [queue still to be walked, …]], see verb 18

local META, DEALS, RIDS, VIEWERS, QUEUES, WAITS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local PAYING_SET, MOVES, JOURNAL, TIPS, CHANNEL = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]

local WAITING, OFFERED, HELD, PAYING, CONFIRMED, RELEASED, EXPIRED, LAPSED, CANCELLED = 1, 2, 3, 4, 5, 6, 7, 8, 9
local ANNOUNCED, OPEN, CLOSING, CLOSED = 1, 2, 3, 4
local BY_VIEWER, BY_VERIFIED, BY_MEMBER = 0, 1, 2     -- whom a deal's limit counts
-- Names of numbers: `lua_constants.py` puts the numbers in their places before Redis sees the script.
-- Places in the records.
local D_STATUS, D_QUOTA, D_AVAILABLE, D_HELD, D_PAYING, D_SOLD, D_WAITING, D_LIMIT = 1, 2, 3, 4, 5, 6, 7, 8
local D_HOLD_MS, D_PAY_MS, D_OPENS, D_CLOSES, D_TAKEN, D_LEVEL, D_RULE, D_OWED = 9, 10, 11, 12, 13, 14, 15, 16
local D_BY, D_ADDRESS_CAP, D_HOLD_CAP, D_DRAW = 17, 18, 19, 20
local H_STATE, H_TICKET, H_DUE, H_AT, H_N, H_PLACE, H_ATTRIBUTION, H_WAIT, H_CHARGED = 1, 2, 3, 4, 5, 6, 7, 8, 9
local H_LINES = 10
local R_LINES = 8            -- the place of the first line in a reserve request
-- Codes of answers.
local OK, SOLD_OUT, LIMIT, NOT_OPEN, DEAL_CLOSED, UNKNOWN_DEAL, QUANTITY, RID_REUSED = 0, 1, 2, 3, 4, 5, 6, 7
local HOLD_GONE, BUSY, ALREADY_WAITING, NOT_FOUND, CONFLICT, TOO_MANY, MALFORMED = 8, 9, 10, 11, 12, 13, 14
local VERIFIED_ONLY, MEMBERS_ONLY, HOLD_TIME = 414, 415, 416     -- the refusals' own numbers
-- Everything about draws: a state of holds, phases, the places in a draw's record, codes of answers.
-- (A table, not locals: functions are added to it, and Lua allows 200 locals.)
local DRAW = {
  ENTERED = 0,
  ENTERING = 1, DRAWING = 2, DRAWN = 3, VOID = 4,     -- VOID: the deal closed before it was drawn
  PHASE = 1, ENTRANTS = 2, BASE = 3, COUNT = 4, LINE = 5, ROOT = 6,
  ALREADY_IN = 20, RUNS = 21, ALONE = 22,
}
-- Counts since the show began, in this order in meta.
local C = {
  ASKED = 1, HELD = 2, WAITING = 3, SOLD_OUT = 4, REFUSED = 5, REPEATED = 6, RELEASED = 7, EXPIRED = 8, OFFERED = 9,
  LAPSED = 10, ACCEPTED = 11, PAYING = 12, CONFIRMED = 13, FREED = 14, REACQUIRED = 15, CLAMPED = 16,
  ENTERED = 17, DRAWN = 18, LENGTHENED = 19,
}
local COUNTS = 19
-- A break of the show that lengthens what was held then: the places in its record, and a table for its functions.
local LONGER = {
  NUMBER = 1, MS = 2, HOLDS = 3, CAPPED = 4, SERIAL = 5, SOURCES = 6,
  NAME = 1, NEXT = 2, LAST = 3, DUE = 4, TARGET = 5,     -- of a source
}

local NOBODY = {MISSING = 0, PAUSED = 1, LOST = 2}     -- why nobody may count

local REQUESTS_MAX = 64
local LINES_MAX = 8
local QTY_MAX = 1000
local UNITS_MAX = 1000000000
local LIVE_RIDS_MAX = 24     -- of one viewer in one show; also bounds what one "holds" request reads
local RUN_OUT_MAX = 128      -- holds that one call ends, offers or lapses: keeps the script near 1 ms
local STEP_MS_MAX = 2000     -- a jump of the machine's clock or an outage lengthens holds, never kills them
local TIPS_RING = 65536
local PART = 1000            -- words given to one command: Lua's stack holds 8,000; even, so that pairs stay together
local DURATION_MS_MIN, DURATION_MS_MAX = 1000, 2592000000
local BREAK_MS_MAX = 3600000
-- A step of the time in a count. 90 days of holds, offers and caps at their longest stay below 2^53 with it, which a Lua
-- number holds exactly; half a million units stay below it.
local TIME_STEP = 1048576

local call, pack, unpack_one, floor = redis.call, cmsgpack.pack, cmsgpack.unpack, math.floor

-- ------------------------------------------------------------------------------------------------------ what arrives

local ok, batch = pcall(unpack_one, ARGV[1] or '')
if #KEYS ~= 11 then
  return redis.error_reply('MALFORMED keys')     -- a missing one would be met after the first write
end
if not ok or type(batch) ~= 'table' or type(batch[4]) ~= 'table' then
  return redis.error_reply('MALFORMED batch')
end
local tip, offer_ms, journal_max, requests = batch[1], batch[2], batch[3], batch[4]
if type(tip) ~= 'string' or type(offer_ms) ~= 'number' or type(journal_max) ~= 'number' or #requests > REQUESTS_MAX
  or not (offer_ms >= DURATION_MS_MIN and offer_ms <= DURATION_MS_MAX) or floor(offer_ms) ~= offer_ms then
  return redis.error_reply('MALFORMED header')
end

local meta = call('HMGET', META, 'epoch', 'seq', 'clk', 'last', 'ticket', 'queues', 'counts', 'todo', 'paused', 'floor',
  'limit')
local epoch = meta[1]
if not epoch then
  return pack({false, NOBODY.MISSING})
end
if meta[9] then
  return pack({false, NOBODY.PAUSED})
end

-- The history fence. What the caller was answered last must still be here, tip for tip: else this server has lost
-- writes that somebody was told of (a failover to a replica that lagged, a log cut short), though it may long have
-- counted on and passed that number. A witness of an earlier epoch (up to `floor`), or one that the ring has passed
-- over, says nothing. Of the lost writes nothing is known here, so nothing but the mark is written.
do
  local last, witness_seq, witness_tip = tonumber(meta[2]), batch[5] or 0, batch[6] or ''
  if type(witness_seq) ~= 'number' or type(witness_tip) ~= 'string' then
    return redis.error_reply('MALFORMED witness')
  end
  if witness_seq > last or (witness_seq > tonumber(meta[10] or 0) and witness_seq > last - TIPS_RING
    and call('HGET', TIPS, witness_seq % TIPS_RING) ~= witness_tip) then
    local time = call('TIME')
    call('HSET', META, 'paused', string.format('%.0f', time[1] * 1000 + floor(time[2] / 1000)))
    return pack({false, NOBODY.LOST})
  end
end
local seq, ticket = tonumber(meta[2]) + 1, tonumber(meta[5])
local show_limit = tonumber(meta[11] or 0)     -- units of one person in the whole show; 0 is none
local queues = meta[6] and unpack_one(meta[6]) or {}
local counts = meta[7] and unpack_one(meta[7]) or {}
for i = #counts + 1, COUNTS do
  counts[i] = 0
end
local todo = {}
for _, deal in ipairs(meta[8] and unpack_one(meta[8]) or {}) do
  todo[deal] = true
end

-- The hold clock: what passed since the last call, never negative, never more than 2 s.
local time = call('TIME')
local now_ms = time[1] * 1000 + floor(time[2] / 1000)
local step = now_ms - tonumber(meta[4])
if step < 0 or step > STEP_MS_MAX then
  counts[C.CLAMPED] = counts[C.CLAMPED] + 1
  step = step < 0 and 0 or STEP_MS_MAX
end
local clk = tonumber(meta[3]) + step

-- --------------------------------------------------------------------------------------------------- reading, cached

local deals, holds, fields = {}, {}, {}     -- id → record or false; viewer field → text, number or false
local owners = {}                           -- viewer/rid → {viewer, rid}

local function load(key, cache, wanted, decode)
  local missing = {}
  for i = 1, #wanted do
    local name = wanted[i]
    if cache[name] == nil then
      cache[name] = false
      missing[#missing + 1] = name
    end
  end
  for from = 1, #missing, PART do
    local to = math.min(from + PART - 1, #missing)
    local found = call('HMGET', key, unpack(missing, from, to))
    for i = from, to do
      local raw = found[i - from + 1]
      cache[missing[i]] = raw and (decode and decode(raw) or raw)
    end
  end
end

local function load_holds(keys)
  load(RIDS, holds, keys, unpack_one)
end

local function owner_of(key)
  local owner = owners[key]
  if not owner then
    local viewer, rid = string.match(key, '^(.*)/([^/]*)$')
    owner = {viewer, rid}
    owners[key] = owner
  end
  return owner
end

-- The names that a hold is counted under, beyond "viewer/deal", added to a list.
local function names_charged(charged, names)
  for i = 2, #charged, 2 do
    names[#names + 1] = charged[i]
  end
end

-- Deals, counts and live rids of the viewers of these holds, in two calls.
local function load_around(keys)
  local wanted_deals, wanted_fields = {}, {}
  for i = 1, #keys do
    local hold = holds[keys[i]]
    if hold then
      local viewer = owner_of(keys[i])[1]
      local charged = hold[H_CHARGED]
      wanted_fields[#wanted_fields + 1] = viewer
      for at = H_LINES, #hold, 2 do
        wanted_deals[#wanted_deals + 1] = hold[at]
        wanted_fields[#wanted_fields + 1] = viewer .. '/' .. hold[at]
      end
      if type(charged) == 'table' then
        names_charged(charged, wanted_fields)
      end
    end
  end
  load(DEALS, deals, wanted_deals, unpack_one)
  load(VIEWERS, fields, wanted_fields)
end

-- ------------------------------------------------------------------------------------------ planning: small movements

local deals_changed, holds_changed, fields_changed = {}, {}, {}     -- lists; the sets stand in *_seen
local deals_seen, holds_seen, fields_seen = {}, {}, {}
local events = {}                       -- for the journal
local freed = {}                        -- deals that got units back and have not yet looked at their wait-list
local pending = {}                      -- duration → [due, key, …] of this call
local entries, entries_gone = {}, {}    -- queue entries read; queue fields to delete
local waits_gone, waits_new, waits_new_of = {}, {}, {}
local paying_new, paying_gone = {}, {}
local moves_new = {}
local run_outs, offers = 0, 0

local function changed(list, seen, name)
  if not seen[name] then
    seen[name] = true
    list[#list + 1] = name
  end
end

local function count(what)
  counts[what] = counts[what] + 1
end

local function is_count(number, least, most)
  return type(number) == 'number' and number >= least and number <= most and floor(number) == number
end

local function log(kind, key, hold)
  local owner = owner_of(key)
  -- The first line is in the constructor: nearly every hold has one, and a table that need not grow costs half.
  local event = {kind, owner[1], owner[2], hold[H_N], hold[H_TICKET], hold[H_ATTRIBUTION], hold[H_LINES], hold[H_LINES + 1]}
  for at = H_LINES + 2, #hold do
    event[#event + 1] = hold[at]
  end
  events[#events + 1] = event
end

local function add_to(name, amount)
  fields[name] = tonumber(fields[name] or 0) + amount
  changed(fields_changed, fields_seen, name)
end

-- Time held unpaid is counted whole when it begins; what of it was not used comes back when it ends.
local function charge_time(viewer, hold, state, due)
  local was, charged, ms = hold[H_STATE], hold[H_CHARGED], 0
  if state == OFFERED or state == HELD then
    ms = due - clk
  end
  if was == OFFERED or was == HELD then
    ms = ms - math.max(0, hold[H_DUE] - clk)
  end
  if ms == 0 then
    return
  end
  if charged == 1 then
    add_to(viewer .. '/' .. hold[H_LINES], ms * TIME_STEP)
  else
    for i = 2, 2 * charged[1], 2 do
      add_to(charged[i], ms * TIME_STEP)
    end
  end
end

-- Gives a hold its new state. The units have been moved by the caller.
local function become(key, hold, state, due, kind)
  if hold[H_CHARGED] ~= 0 then
    charge_time(owner_of(key)[1], hold, state, due)
  end
  hold[H_STATE] = state
  hold[H_DUE] = due
  hold[H_AT] = clk
  changed(holds_changed, holds_seen, key)
  log(kind, key, hold)
end

local function move_units(hold, from, to)
  for at = H_LINES, #hold, 2 do
    local id, qty = hold[at], hold[at + 1]
    local deal = deals[id]
    deal[from] = deal[from] - qty
    deal[to] = deal[to] + qty
    changed(deals_changed, deals_seen, id)
    if to == D_AVAILABLE then
      freed[id] = true
    end
  end
end

-- `sign` 1 takes the hold's units into the limits, -1 gives them back: exactly what the record says was charged, whatever
-- the rules say by now.
local function charge_units(viewer, hold, sign)
  local charged = hold[H_CHARGED]
  if type(charged) == 'table' then
    for i = 2, #charged, 2 do
      add_to(charged[i], sign * charged[i + 1])
    end
    return
  end
  for at = H_LINES, #hold, 2 do
    local name = viewer .. '/' .. hold[at]
    fields[name] = tonumber(fields[name] or 0) + sign * 2 * hold[at + 1]
    changed(fields_changed, fields_seen, name)
  end
end

-- The count that carries the mark "waits" of a hold with one line; its name stands first in the record.
local function name_of_place(viewer, charged, id)
  return type(charged) == 'table' and charged[2] or viewer .. '/' .. id
end

local function add_live(viewer, rid)
  local live = fields[viewer]
  fields[viewer] = live and (live .. ' ' .. rid) or rid
  changed(fields_changed, fields_seen, viewer)
end

local function drop_live(viewer, rid)
  local kept = {}
  for other in string.gmatch(fields[viewer] or '', '%S+') do
    if other ~= rid then
      kept[#kept + 1] = other
    end
  end
  fields[viewer] = #kept > 0 and table.concat(kept, ' ') or false
  changed(fields_changed, fields_seen, viewer)
end

local function enqueue(duration, key)
  local entry = pending[duration]
  if not entry then
    entry = {clk + duration}
    pending[duration] = entry
    local queue = queues[duration] or {1, 0, clk + duration}
    queues[duration] = queue
    queue[2] = queue[2] + 1
  end
  entry[#entry + 1] = key
end

-- Entries of a break's own queue, each with its own end. They are written where they stand in `entries`.
LONGER.made = {}
function LONGER.enqueue(name, entry)
  local queue = queues[name] or {1, 0, entry[1]}
  queues[name] = queue
  queue[2] = queue[2] + 1
  local field = string.format('%d:%d', name, queue[2])
  entries[field] = entry
  LONGER.made[#LONGER.made + 1] = field
end

-- Ticket first, in 16 digits, so that the order of the alphabet is the order of arrival; the key tells whose it is.
local function wait_member(key, hold)
  return string.format('%s:%016d:%s', hold[H_LINES], hold[H_TICKET], key)
end

local function leave_list(key, hold)
  local deal = deals[hold[H_LINES]]
  deal[D_WAITING] = deal[D_WAITING] - 1
  changed(deals_changed, deals_seen, hold[H_LINES])
  waits_gone[wait_member(key, hold)] = true
  add_to(name_of_place(owner_of(key)[1], hold[H_CHARGED], hold[H_LINES]), -1)
end

-- Ends a hold of any live state: units back, limits given back.
local function finish(key, hold, state, kind)
  local owner = owner_of(key)
  local was = hold[H_STATE]
  if was <= WAITING then     -- or ENTERED: those in a draw stand in the same list
    leave_list(key, hold)
  elseif was == PAYING then
    move_units(hold, D_PAYING, D_AVAILABLE)
    paying_gone[key] = true
    paying_new[key] = nil
  else
    move_units(hold, D_HELD, D_AVAILABLE)
  end
  charge_units(owner[1], hold, -1)
  drop_live(owner[1], owner[2])
  become(key, hold, state, 0, kind)
end

local function run_out(key, hold)
  run_outs = run_outs + 1
  if hold[H_STATE] == HELD then
    count(C.EXPIRED)
    finish(key, hold, EXPIRED, 'expired')
  else
    count(C.LAPSED)
    finish(key, hold, LAPSED, 'lapsed')
  end
end

local function is_due(hold)
  return (hold[H_STATE] == HELD or hold[H_STATE] == OFFERED) and hold[H_DUE] <= clk
end

-- The hold under this key as it is at this instant of the hold clock.
local function current(key)
  local hold = holds[key]
  if hold and is_due(hold) then
    run_out(key, hold)
  end
  return hold
end

-- ------------------------------------------------------------------------------------- planning: what time brings back

local function queue_entry(duration, index)
  if pending[duration] and index == queues[duration][2] then
    return pending[duration]
  end
  local field = string.format('%d:%d', duration, index)
  local entry = entries[field]
  if not entry then
    entry = unpack_one(call('HGET', QUEUES, field))
    entries[field] = entry
  end
  return entry
end

-- Ends due holds, oldest first, until none is due or the call has done its share. True where none is left.
local function run_out_due()
  for duration, queue in pairs(queues) do
    while queue[3] <= clk do
      if run_outs >= RUN_OUT_MAX then
        return false
      end
      local entry = queue_entry(duration, queue[1])
      local keys = {}
      for i = 2, #entry do
        keys[i - 1] = entry[i]
      end
      load_holds(keys)
      load_around(keys)
      for i = 1, #keys do
        local hold = holds[keys[i]]
        -- A hold that was released, paid or accepted meanwhile is no longer of this entry.
        if hold and hold[H_DUE] == entry[1] and is_due(hold) then
          run_out(keys[i], hold)
        end
      end
      entries_gone[#entries_gone + 1] = string.format('%d:%d', duration, queue[1])
      queue[1] = queue[1] + 1
      if queue[1] > queue[2] then
        queues[duration] = nil
        break
      end
      queue[3] = queue_entry(duration, queue[1])[1]
    end
  end
  return true
end

-- The keys of those who wait for a deal, first come first, at most `most`; and whether that is all of them.
local function waiting_for(id, most)
  local members = call('ZRANGEBYLEX', WAITS, '[' .. id .. ':', '(' .. id .. ';', 'LIMIT', 0, most + REQUESTS_MAX)
  local all = #members < most + REQUESTS_MAX
  for _, member in ipairs(all and waits_new_of[id] or {}) do
    members[#members + 1] = member
  end
  local keys = {}
  for i = 1, #members do
    if not waits_gone[members[i]] then
      if #keys == most then
        return keys, false
      end
      keys[#keys + 1] = string.sub(members[i], #id + 19)
    end
  end
  return keys, all
end

local function offer(key, hold)
  offers = offers + 1
  count(C.OFFERED)
  leave_list(key, hold)
  move_units(hold, D_AVAILABLE, D_HELD)
  hold[H_PLACE] = 0
  become(key, hold, OFFERED, clk + offer_ms, 'offered')
  enqueue(offer_ms, key)
end

-- True until the draw of this deal was made: nobody is served, in whatever order they came.
function DRAW.is_undrawn(deal)
  local draw = deal[D_DRAW]
  return draw and draw[DRAW.PHASE] < DRAW.DRAWN
end

-- Units that came back go to those who wait, in order of arrival; only what none of them can take becomes public.
local function offer_freed(id)
  local deal = deals[id]
  freed[id] = nil
  local keys, all = {}, true
  if deal[D_WAITING] > 0 and deal[D_AVAILABLE] > 0 and deal[D_STATUS] == OPEN and not DRAW.is_undrawn(deal) then
    keys, all = waiting_for(id, RUN_OUT_MAX)
  end
  load_holds(keys)
  load_around(keys)
  for i = 1, #keys do
    if deal[D_AVAILABLE] == 0 then
      break
    end
    local hold = holds[keys[i]]
    if hold[H_LINES + 1] <= deal[D_AVAILABLE] then
      if offers >= RUN_OUT_MAX then
        all = false
        break
      end
      offer(keys[i], hold)
    elseif deal[D_RULE] == 1 then
      break
    end
  end
  -- Owed: more may wait than one call looks at. Until the heartbeat has looked at them all, nobody overtakes.
  local owed = (not all and deal[D_AVAILABLE] > 0 and offers > 0) and 1 or 0
  if owed ~= deal[D_OWED] then
    deal[D_OWED] = owed
    changed(deals_changed, deals_seen, id)
  end
  if deal[D_STATUS] == OPEN then
    todo[id] = owed == 1 or nil
  end
end

-- A deal that closes tells those who wait, a part in each call.
local function lapse_waiting(id)
  local keys = waiting_for(id, RUN_OUT_MAX)
  load_holds(keys)
  load_around(keys)
  for i = 1, #keys do
    run_out(keys[i], holds[keys[i]])
  end
  todo[id] = deals[id][D_WAITING] > 0 or nil
end

-- ------------------------------------------------------------------------------------------------- planning: the verbs

local VERBS = {}
local rules_of
-- The rules of a request that counts as a plain one does, and its time beside it: the common case, made without a table.
local JUST_TIMED = {charged = 1}

do     -- What only the verbs use is local to this block: Lua allows 200 locals at a time.

-- What anyone may take now. Those who wait come first.
local function public_units(id)
  local deal = deals[id]
  if deal[D_DRAW] and DRAW.is_undrawn(deal) and deal[D_STATUS] ~= ANNOUNCED then
    return 0
  end
  if deal[D_WAITING] > 0 then
    if freed[id] then
      offer_freed(id)
    end
    if deal[D_WAITING] > 0 and (deal[D_OWED] == 1 or deal[D_RULE] == 1) then
      return 0
    end
  end
  return deal[D_AVAILABLE]
end

local function first_short(sums)
  for id, qty in pairs(sums) do
    if qty > public_units(id) then
      return id
    end
  end
end

-- Everything about the lines that needs no count: an answer that refuses them, or nil and the units per deal; and the
-- deal that is still to be drawn, if any.
local function refuse_lines(request)
  local sums, status, undrawn = {}, nil, nil
  for at = R_LINES, #request, 2 do
    local id, qty = request[at], request[at + 1]
    local deal = deals[id]
    if not deal then
      return {UNKNOWN_DEAL, id}
    end
    if not is_count(qty, 1, deal[D_LIMIT]) then
      return {QUANTITY, id, deal[D_LIMIT]}
    end
    if deal[D_STATUS] ~= OPEN then
      status = status or {deal[D_STATUS] == ANNOUNCED and NOT_OPEN or DEAL_CLOSED, id, deal[D_OPENS]}
    end
    if deal[D_DRAW] and DRAW.is_undrawn(deal) then
      undrawn = id
    end
    sums[id] = (sums[id] or 0) + qty
  end
  return status, sums, undrawn
end

-- What this request is counted under where its deals or its show have more rules than a limit per viewer: what the record
-- will carry, and the checks in the order in which they win, [code, deal, name, a step of the count, more, most, what].
-- Nil for the plain case, whose only count is "viewer/deal".
function rules_of(request)
  local plain, timed = show_limit == 0, false
  for at = R_LINES, #request, 2 do
    local deal = deals[request[at]]
    if deal then
      plain = plain and deal[D_BY] + deal[D_ADDRESS_CAP] == 0
      timed = timed or deal[D_HOLD_CAP] > 0
    end
  end
  if plain and not timed then
    return nil
  end
  if plain and #request == R_LINES + 1 then
    return JUST_TIMED
  end
  local viewer, person, address = request[2], request[6], request[7]
  local ids, sums, total, hold_ms = {}, {}, 0, DURATION_MS_MAX
  for at = R_LINES, #request, 2 do
    local id, qty = request[at], request[at + 1]
    if deals[id] then
      if not sums[id] then
        ids[#ids + 1] = id
      end
      sums[id] = (sums[id] or 0) + qty
      total = total + qty
      hold_ms = math.min(hold_ms, deals[id][D_HOLD_MS])
    end
  end
  local charged, checks = {timed and #ids or 0}, {}
  local function counts(name, amount)
    charged[#charged + 1] = name
    charged[#charged + 1] = amount
  end
  local who = {}
  for _, id in ipairs(ids) do
    who[id] = (deals[id][D_BY] == BY_VIEWER and viewer or '~' .. person) .. '/' .. id
    counts(who[id], 2 * sums[id])
    checks[#checks + 1] = {LIMIT, id, who[id], 2, sums[id], deals[id][D_LIMIT], 'deal'}
  end
  if show_limit > 0 then
    -- Both, so that who is verified in the middle of a show does not begin anew.
    for _, name in ipairs(person == '' and {viewer .. '/'} or {viewer .. '/', '~' .. person .. '/'}) do
      counts(name, total)
      checks[#checks + 1] = {LIMIT, ids[1], name, 1, total, show_limit, 'show'}
    end
  end
  for _, id in ipairs(ids) do
    if deals[id][D_ADDRESS_CAP] > 0 and address ~= '' then
      local name = '@' .. address .. '/' .. id
      counts(name, sums[id])
      checks[#checks + 1] = {LIMIT, id, name, 1, sums[id], deals[id][D_ADDRESS_CAP], 'address'}
    end
  end
  for _, id in ipairs(ids) do
    if deals[id][D_HOLD_CAP] > 0 then
      checks[#checks + 1] = {HOLD_TIME, id, who[id], TIME_STEP, hold_ms, deals[id][D_HOLD_CAP], 'time'}
    end
  end
  return {charged = charged, checks = checks}
end

-- A deal may be for people whom the shop knows; the request says whether she is one.
local function refuse_stranger(request)
  for at = R_LINES, #request, 2 do
    local by = deals[request[at]][D_BY]
    if by == BY_VERIFIED and request[6] == '' then
      return {VERIFIED_ONLY, request[at]}
    end
    if by == BY_MEMBER and string.sub(request[6], 1, 1) ~= 'm' then
      return {MEMBERS_ONLY, request[at]}
    end
  end
end

local function refuse_by_rules(rules)
  for _, check in ipairs(rules.checks) do
    local code, id, name, step, more, most, what = unpack(check)
    local had = tonumber(fields[name] or 0)
    had = floor((step == TIME_STEP and had or had % TIME_STEP) / step)
    if had + more > most then
      return {code, id, most, had, what}
    end
  end
end

local function refuse_viewer(request, sums, rules)
  local viewer = request[2]
  local ruled = rules and rules ~= JUST_TIMED
  local stranger = ruled and refuse_stranger(request)
  if stranger then
    return stranger
  end
  local live = fields[viewer]
  if live and select(2, string.gsub(live, ' ', ' ')) >= LIVE_RIDS_MAX - 1 then
    return {TOO_MANY}
  end
  if ruled then
    return refuse_by_rules(rules)
  end
  for id, qty in pairs(sums) do
    local deal, had = deals[id], tonumber(fields[viewer .. '/' .. id] or 0)
    local units = floor(had % TIME_STEP / 2)
    if units + qty > deal[D_LIMIT] then
      return {LIMIT, id, deal[D_LIMIT], units, 'deal'}
    end
    if rules and floor(had / TIME_STEP) + deal[D_HOLD_MS] > deal[D_HOLD_CAP] then
      return {HOLD_TIME, id, deal[D_HOLD_CAP], floor(had / TIME_STEP), 'time'}
    end
  end
end

local function is_same_request(hold, request)
  -- A hold that was restored after a loss may not know whether she would have waited (2): either is the same request.
  if #hold - H_LINES ~= #request - R_LINES or (hold[H_WAIT] ~= request[4] and hold[H_WAIT] ~= 2) then
    return false
  end
  for at = R_LINES, #request do
    if hold[at + H_LINES - R_LINES] ~= request[at] then
      return false
    end
  end
  return true
end

local function new_hold(key, request, rules, state, due)
  ticket = ticket + 1
  local charged = rules and rules.charged or 0
  local hold = {WAITING, ticket, due, clk, 0, 0, request[5], request[4], charged, request[8], request[9]}
  for at = R_LINES + 2, #request do
    hold[at + H_LINES - R_LINES] = request[at]
  end
  if rules then
    charge_time(request[2], hold, state, due)
  end
  hold[H_STATE] = state
  holds[key] = hold
  changed(holds_changed, holds_seen, key)
  add_live(request[2], request[3])
  charge_units(request[2], hold, 1)
  return hold
end

-- At the end of the list of its deal, by the hold's ticket. The caller says what became of the hold.
local function list_hold(key, hold)
  local id = hold[H_LINES]
  local deal = deals[id]
  deal[D_WAITING] = deal[D_WAITING] + 1
  changed(deals_changed, deals_seen, id)
  add_to(name_of_place(owner_of(key)[1], hold[H_CHARGED], id), 1)
  local member = wait_member(key, hold)
  waits_new[#waits_new + 1] = member
  waits_new_of[id] = waits_new_of[id] or {}
  table.insert(waits_new_of[id], member)
end

-- Whether who is counted under these rules waits for this deal, or is in its draw.
local function stands_in_list(viewer, id, rules)
  return tonumber(fields[name_of_place(viewer, rules and rules.charged or 0, id)] or 0) % 2 == 1
end

local function join_list(key, request, rules)
  local id = request[R_LINES]
  if stands_in_list(request[2], id, rules) then
    return {ALREADY_WAITING, id}
  end
  local hold = new_hold(key, request, rules, WAITING, 0)
  list_hold(key, hold)
  hold[H_PLACE] = deals[id][D_WAITING]
  count(C.WAITING)
  log('waiting', key, hold)
  return {OK, key}
end

-- A tap while the deal is still to be drawn: one place in the draw, whatever the hurry.
function DRAW.enter(key, request, id, rules)
  if #request > R_LINES + 1 then
    return {DRAW.ALONE, id}
  end
  if stands_in_list(request[2], id, rules) then
    return {DRAW.ALREADY_IN, id}
  end
  if deals[id][D_DRAW][DRAW.PHASE] == DRAW.DRAWING then
    return {DRAW.RUNS, id}
  end
  local hold = new_hold(key, request, rules, DRAW.ENTERED, 0)
  list_hold(key, hold)
  count(C.ENTERED)
  log('entered', key, hold)
  return {OK, key}
end

local function refuse_stock(key, request, sums, rules)
  local short = first_short(sums)
  if not short then
    return nil
  end
  -- "Sold out" is never said while a hold is due.
  local none_due = run_out_due()
  short = first_short(sums)
  if not short then
    return nil
  end
  if not none_due then
    return {BUSY}
  end
  if request[4] == 1 and #request == R_LINES + 1 then
    return join_list(key, request, rules)
  end
  local deal = deals[short]
  return {SOLD_OUT, short, deal[D_AVAILABLE], deal[D_HELD], deal[D_PAYING], deal[D_SOLD], deal[D_WAITING]}
end

local journal_full = nil
local rules_moved = false     -- a deal was put in this call: what was read off its rules before may be stale

local function rules_now(request)
  if rules_moved then
    request.rules = rules_of(request)
    local names = {}
    if request.rules and request.rules ~= JUST_TIMED then
      names_charged(request.rules.charged, names)
    end
    load(VIEWERS, fields, names)
  end
  return request.rules
end

-- The refusal, or the answer of the line she joined, or nil; and the rules under which she is counted.
local function refuse_reserve(key, request)
  if journal_full == nil then
    journal_full = call('XLEN', JOURNAL) >= journal_max
  end
  if journal_full then
    return {BUSY}
  end
  local refused, sums, undrawn = refuse_lines(request)
  if refused then
    return refused
  end
  local rules = rules_now(request)
  refused = refuse_viewer(request, sums, rules)
  if undrawn and not refused then
    return DRAW.enter(key, request, undrawn, rules)
  end
  return refused or refuse_stock(key, request, sums, rules), rules
end

-- reserve: [1, viewer, rid, wait (0, 1), attribution, person, address, deal, qty, …] → [0, hold, place] or a refusal. All
-- lines or none. person: '' a guest, 'v…' verified, 'm…' a member. address: opaque, '' is not counted.
VERBS[1] = function(request, key)
  count(C.ASKED)
  local hold = current(key)
  if hold then
    if not is_same_request(hold, request) then
      count(C.REFUSED)
      return {RID_REUSED}
    end
    count(C.REPEATED)
    return {OK, key}
  end
  owners[key] = {request[2], request[3]}
  local answer, rules = refuse_reserve(key, request)
  if answer then
    if answer[1] == SOLD_OUT then
      count(C.SOLD_OUT)
    elseif answer[1] ~= OK then
      count(C.REFUSED)
    end
    return answer
  end
  local hold_ms = DURATION_MS_MAX
  for at = R_LINES, #request, 2 do
    hold_ms = math.min(hold_ms, deals[request[at]][D_HOLD_MS])
  end
  hold = new_hold(key, request, rules, HELD, clk + hold_ms)
  move_units(hold, D_AVAILABLE, D_HELD)
  enqueue(hold_ms, key)
  count(C.HELD)
  log('held', key, hold)
  return {OK, key}
end

-- release: [2, viewer, rid, RELEASED (also where it is left out) or CANCELLED] → the hold as it stands now. CANCELLED is
-- the shop's: it pulled the deal.
VERBS[2] = function(request, key, hold)
  local state, new = hold[H_STATE], request[4] or RELEASED
  if new ~= RELEASED and new ~= CANCELLED then
    return {MALFORMED}
  end
  if state == PAYING or state == CONFIRMED then
    return {CONFLICT, state}     -- released in SQL first, then here by `free`
  end
  -- Who has entered is counted once the window is over: until each has a place, nobody leaves.
  local draw = state == DRAW.ENTERED and deals[hold[H_LINES]][D_DRAW]
  if draw and draw[DRAW.PHASE] == DRAW.DRAWING then
    return {DRAW.RUNS, hold[H_LINES]}
  end
  if state <= HELD then
    count(C.RELEASED)
    finish(key, hold, new, new == RELEASED and 'released' or 'cancelled')
  end
  return {OK, key}
end

-- accept: [3, viewer, rid] → OFFERED becomes HELD with the hold time of its deal.
VERBS[3] = function(request, key, hold)
  local state = hold[H_STATE]
  if state <= WAITING then
    return {CONFLICT, state}
  end
  if state == OFFERED then
    local hold_ms = deals[hold[H_LINES]][D_HOLD_MS]
    count(C.ACCEPTED)
    become(key, hold, HELD, clk + hold_ms, 'accepted')
    enqueue(hold_ms, key)
  elseif state > CONFIRMED then
    return {HOLD_GONE, state}
  end
  return {OK, key}
end

local function start_paying(key, hold, from, pay_ms, kind)
  move_units(hold, from, D_PAYING)
  become(key, hold, PAYING, clk + pay_ms, kind)
  paying_new[key] = clk + pay_ms
  paying_gone[key] = nil
end

-- begin_pay: [4, viewer, rid, pay_ms] → HELD becomes PAYING. A second one changes nothing: the deadline stays.
VERBS[4] = function(request, key, hold)
  local state = hold[H_STATE]
  if not is_count(request[4], 1, DURATION_MS_MAX) then
    return {MALFORMED}
  end
  if state < HELD then
    return {CONFLICT, state}
  end
  if state == HELD then
    count(C.PAYING)
    start_paying(key, hold, D_HELD, request[4], 'paying')
  elseif state > CONFIRMED then
    return {HOLD_GONE, state}
  end
  return {OK, key}
end

-- settle: [5, viewer, rid] → what SQL confirmed is sold, also where this side still had it as HELD.
VERBS[5] = function(request, key, hold)
  local state = hold[H_STATE]
  if state == PAYING or state == HELD then
    local owner = owner_of(key)
    move_units(hold, state == PAYING and D_PAYING or D_HELD, D_SOLD)
    paying_gone[key] = true
    paying_new[key] = nil
    drop_live(owner[1], owner[2])
    count(C.CONFIRMED)
    become(key, hold, CONFIRMED, 0, 'confirmed')
  elseif state ~= CONFIRMED then
    return {CONFLICT, state}
  end
  return {OK, key}
end

-- free: [6, viewer, rid, EXPIRED or CANCELLED, n] → what SQL gave back comes back here. A second one changes nothing,
-- and neither does one that was decided before late money took the units again: `n` is how often that had happened then.
VERBS[6] = function(request, key, hold)
  local state, new, n = hold[H_STATE], request[4], request[5]
  if (new ~= EXPIRED and new ~= CANCELLED) or (n ~= nil and not is_count(n, 0, UNITS_MAX)) then
    return {MALFORMED}
  end
  if n and hold[H_N] > n then
    return {OK, key}
  end
  if state == PAYING or state == HELD then
    count(C.FREED)
    finish(key, hold, new, new == EXPIRED and 'pay_expired' or 'cancelled')
  elseif state <= CONFIRMED then
    return {CONFLICT, state}
  end
  return {OK, key}
end

-- reacquire: [7, viewer, rid] → late money: PAYING once more where every unit is left, else SOLD_OUT. The limit is not
-- asked: she has paid.
VERBS[7] = function(request, key, hold)
  local state = hold[H_STATE]
  if state == PAYING or state == CONFIRMED then
    return {OK, key}
  end
  local sums, pay_ms = {}, 0
  for at = H_LINES, #hold, 2 do
    sums[hold[at]] = (sums[hold[at]] or 0) + hold[at + 1]
    pay_ms = math.max(pay_ms, deals[hold[at]][D_PAY_MS])
  end
  if state == HELD then
    count(C.REACQUIRED)
    start_paying(key, hold, D_HELD, pay_ms, 'paying')
    return {OK, key}
  end
  if state < HELD or state == LAPSED then
    return {CONFLICT, state}
  end
  local short = first_short(sums)
  if short and run_out_due() then
    short = first_short(sums)
  end
  if short then
    return {SOLD_OUT, short, 0, 0, 0, 0, 0}
  end
  local owner = owner_of(key)
  hold[H_N] = hold[H_N] + 1
  count(C.REACQUIRED)
  charge_units(owner[1], hold, 1)
  add_live(owner[1], owner[2])
  start_paying(key, hold, D_AVAILABLE, pay_ms, 'reacquired')
  return {OK, key}
end

-- heartbeat: [8] → [0, expired, lapsed, offered, 1 where more is to be done at once].
VERBS[8] = function()
  local expired, lapsed, offered = counts[C.EXPIRED], counts[C.LAPSED], counts[C.OFFERED]
  local done = run_out_due()
  for id in pairs(todo) do
    load(DEALS, deals, {id}, unpack_one)
    if deals[id][D_STATUS] == OPEN then
      offer_freed(id)
    else
      lapse_waiting(id)
    end
  end
  for id in pairs(freed) do
    offer_freed(id)
  end
  return {OK, counts[C.EXPIRED] - expired, counts[C.LAPSED] - lapsed, counts[C.OFFERED] - offered,
    (not done or next(todo)) and 1 or 0}
end

local function is_name(text)
  return type(text) == 'string' and #text <= 64 and string.find(text, '^[%w_.-]+$') ~= nil
end

-- put_deal: [9, deal, move id, units, limit, hold_ms, pay_ms, status, opens_at_ms, closes_at_ms, level, rule, whom the
-- limit counts, cap per address or 0, cap on hold time in ms or 0, draw (0, 1)] → [0, units added]. The units of a move
-- count once; rules follow the last call; status and draw are set by the first call only.
VERBS[9] = function(request)
  local id, move, units = request[2], request[3], request[4]
  if not (is_name(id) and is_name(move) and is_count(units, 0, UNITS_MAX) and is_count(request[5], 1, QTY_MAX)
    and is_count(request[6], DURATION_MS_MIN, DURATION_MS_MAX) and is_count(request[7], 1, DURATION_MS_MAX)
    and is_count(request[8], ANNOUNCED, CLOSED) and is_count(request[9], 0, 9e15) and is_count(request[10], 0, 9e15)
    and is_count(request[11], 0, 2) and is_count(request[12], 0, 1) and is_count(request[13], BY_VIEWER, BY_MEMBER)
    and is_count(request[14], 0, UNITS_MAX) and (request[15] == 0 or is_count(request[15], request[6], DURATION_MS_MAX))
    and is_count(request[16] or 0, 0, 1)) then
    return {MALFORMED}
  end
  local deal = deals[id]
  if deal and deal[D_QUOTA] + units > UNITS_MAX then
    return {MALFORMED}
  end
  if not deal then
    local draw = request[16] == 1 and {DRAW.ENTERING, 0, 0, 0, 0, ''}
    deal = {request[8], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, draw}
    deals[id] = deal
  end
  local name = id .. '/' .. move
  if moves_new[name] or call('HEXISTS', MOVES, name) == 1 then
    units = 0
  else
    moves_new[name] = units
    events[#events + 1] = {'allotted', '', name, 0, 0, '', id, units}
  end
  deal[D_QUOTA] = deal[D_QUOTA] + units
  deal[D_AVAILABLE] = deal[D_AVAILABLE] + units
  deal[D_LIMIT], deal[D_HOLD_MS], deal[D_PAY_MS] = request[5], request[6], request[7]
  deal[D_OPENS], deal[D_CLOSES], deal[D_LEVEL], deal[D_RULE] = request[9], request[10], request[11], request[12]
  deal[D_BY], deal[D_ADDRESS_CAP], deal[D_HOLD_CAP] = request[13], request[14], request[15]
  rules_moved = true
  freed[id] = true
  changed(deals_changed, deals_seen, id)
  return {OK, units}
end

-- status: [10, deal, status] → [0, units taken out]. Closing takes what is available out, each unit once; CLOSED is
-- reached only when nobody holds or pays any more, until then the deal stays CLOSING.
VERBS[10] = function(request)
  local id, status = request[2], request[3]
  local deal = deals[id]
  if not deal then
    return {UNKNOWN_DEAL, tostring(id)}
  end
  if not is_count(status, ANNOUNCED, CLOSED) then
    return {MALFORMED}
  end
  local units = 0
  if status >= CLOSING then
    units = deal[D_AVAILABLE]
    deal[D_QUOTA] = deal[D_QUOTA] - units
    deal[D_AVAILABLE] = 0
    deal[D_OWED] = 0
    if DRAW.is_undrawn(deal) then
      deal[D_DRAW][DRAW.PHASE] = DRAW.VOID
    end
    if deal[D_HELD] + deal[D_PAYING] > 0 then
      status = CLOSING
    end
    if units > 0 then
      events[#events + 1] = {'taken_out', '', string.format('%s/%d', id, deal[D_TAKEN]), 0, 0, '', id, units}
      deal[D_TAKEN] = deal[D_TAKEN] + units
    end
  end
  deal[D_STATUS] = status
  changed(deals_changed, deals_seen, id)
  if status >= CLOSING and deal[D_WAITING] > 0 then
    lapse_waiting(id)
  elseif status == OPEN then
    freed[id] = true
  end
  return {OK, units}
end

-- holds: [11, viewer] → [0, [rid, hold, place, …]] of what is live.
VERBS[11] = function(request)
  local keys = {}
  for rid in string.gmatch(fields[request[2]] or '', '%S+') do
    keys[#keys + 1] = request[2] .. '/' .. rid
  end
  load_holds(keys)
  load_around(keys)
  local live = {}
  for i = 1, #keys do
    local hold = current(keys[i])
    if hold and hold[H_STATE] < CONFIRMED then
      live[#live + 1] = keys[i]
    end
  end
  return {OK, live}
end

-- levels: [12] → every deal's level in the header.
VERBS[12] = function()
  local all = call('HGETALL', DEALS)
  for i = 1, #all, 2 do
    if deals[all[i]] == nil then
      deals[all[i]] = unpack_one(all[i + 1])
    end
  end
  return {OK}
end

-- take_out: [13, deal, move id, units] → [0, units taken]: up to so many of the units that anyone could have leave the
-- deal, for a pool or another deal. A move id takes once; asked again it answers what it took then.
VERBS[13] = function(request)
  local id, move, units = request[2], request[3], request[4]
  if not (is_name(id) and is_name(move) and is_count(units, 1, UNITS_MAX)) then
    return {MALFORMED}
  end
  local name = id .. '/' .. move
  local known = moves_new[name] or call('HGET', MOVES, name)
  if known then
    return {OK, tonumber(known)}
  end
  local deal = deals[id]
  if not deal then
    return {UNKNOWN_DEAL, id}
  end
  if public_units(id) < units then
    run_out_due()     -- what is due is nobody's any more
  end
  units = math.min(units, public_units(id))
  moves_new[name] = units
  if units > 0 then
    events[#events + 1] = {'taken_out', '', name, 0, 0, '', id, units}
    deal[D_QUOTA] = deal[D_QUOTA] - units
    deal[D_AVAILABLE] = deal[D_AVAILABLE] - units
    deal[D_TAKEN] = deal[D_TAKEN] + units
    changed(deals_changed, deals_seen, id)
  end
  return {OK, units}
end

-- keep: [16, viewer, rid, ms] → HELD for this time from now on, where it was held for less. Asked again with the same
-- time it changes nothing: what counts is how long the hold lasts from its own instant `at`.
VERBS[16] = function(request, key, hold)
  local state, ms = hold[H_STATE], request[4]
  if not is_count(ms, DURATION_MS_MIN, DURATION_MS_MAX) then
    return {MALFORMED}
  end
  if state < HELD then
    return {CONFLICT, state}
  end
  if state == HELD and hold[H_DUE] - hold[H_AT] < ms then
    become(key, hold, HELD, clk + ms, 'kept')
    enqueue(ms, key)
  elseif state > CONFIRMED then
    return {HOLD_GONE, state}
  end
  return {OK, key}
end

-- replace: [17, old rid, [1, viewer, rid, …]] → as reserve, with the units of the viewer's old hold given back in the
-- same instant, so that a changed bag never loses its units to somebody else and never needs them twice. A refusal
-- leaves the old hold as it was. Not where people wait for what she has: what she gives back would be theirs.
VERBS[17] = function(request, key)
  local wanted, old_key = request[3], request[3][2] .. '/' .. request[2]
  if current(key) then
    return VERBS[1](wanted, key)
  end
  local old = current(old_key)
  if not old then
    return {NOT_FOUND}
  end
  local state, due, at = old[H_STATE], old[H_DUE], old[H_AT]
  if state ~= HELD then
    return {state > CONFIRMED and HOLD_GONE or CONFLICT, state}
  end
  for line = H_LINES, #old, 2 do
    if deals[old[line]][D_WAITING] > 0 then
      return {CONFLICT, state}
    end
  end
  for line = R_LINES, #wanted, 2 do
    local deal = deals[wanted[line]]
    if deal and DRAW.is_undrawn(deal) then
      return {DRAW.ALONE, wanted[line]}     -- a place in a draw is no bag: she would give units for none
    end
  end
  local told = #events
  finish(old_key, old, RELEASED, 'released')
  local answer = VERBS[1](wanted, key)
  if answer[1] == OK then
    count(C.RELEASED)
    return answer
  end
  local owner = owner_of(old_key)
  move_units(old, D_AVAILABLE, D_HELD)
  charge_units(owner[1], old, 1)
  if old[H_CHARGED] ~= 0 then
    charge_time(owner[1], old, state, due)
  end
  add_live(owner[1], owner[2])
  old[H_STATE], old[H_DUE], old[H_AT] = state, due, at
  table.remove(events, told + 1)
  return answer
end

-- Whether the caps on time held let this hold last so much longer. Who was not counted when she began has no cap.
function LONGER.is_allowed(viewer, hold, ms)
  local charged, names = hold[H_CHARGED], {}
  if charged == 1 then
    names[1] = viewer .. '/' .. hold[H_LINES]
  elseif charged ~= 0 then
    for i = 1, charged[1] do
      names[i] = charged[2 * i]
    end
  end
  for _, name in ipairs(names) do
    local deal = deals[string.match(name, '([^/]*)$')]
    if deal[D_HOLD_CAP] > 0 and floor(tonumber(fields[name] or 0) / TIME_STEP) + ms > deal[D_HOLD_CAP] then
      return false
    end
  end
  return true
end

-- A break begins to lengthen: which queues, and how far, so that what is set aside later is not part of it.
function LONGER.begin(record, number, ms)
  local names, sources, serial = {}, {}, record[LONGER.SERIAL]
  for name in pairs(queues) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local queue = queues[name]
    sources[i] = {name, queue[1], queue[2], queue_entry(name, queue[2])[1], DURATION_MS_MAX + serial + i}
  end
  return {number, ms, 0, 0, serial + #names, sources}
end

-- One entry of a queue: its holds that still stand in it go on in the break's queue. A cap cuts a whole hold, never a
-- part: a queue for each remainder would be what one queue per duration saves.
function LONGER.move_entry(record, source, entry)
  local keys, moved = {}, {entry[1] + record[LONGER.MS]}
  for i = 2, #entry do
    keys[i - 1] = entry[i]
  end
  load_holds(keys)
  load_around(keys)
  for _, key in ipairs(keys) do
    local hold = holds[key]
    local state = hold and hold[H_STATE]
    if (state == HELD or state == OFFERED) and hold[H_DUE] == entry[1] and not is_due(hold) then
      if LONGER.is_allowed(owner_of(key)[1], hold, record[LONGER.MS]) then
        become(key, hold, state, moved[1], state == HELD and 'lengthened' or 'offer_lengthened')
        moved[#moved + 1] = key
        record[LONGER.HOLDS] = record[LONGER.HOLDS] + 1
        count(C.LENGTHENED)
      else
        record[LONGER.CAPPED] = record[LONGER.CAPPED] + 1
      end
    end
  end
  if #moved > 1 then
    LONGER.enqueue(source[LONGER.TARGET], moved)
  end
  return #keys
end

-- The next entry of a queue that a break walks, or nil at its end. Where the queue ran empty meanwhile and began anew,
-- what stands in it ends later than all that stood there when the walk began.
function LONGER.next_entry(source)
  local queue = queues[source[LONGER.NAME]]
  if not queue then
    return nil
  end
  source[LONGER.NEXT] = math.max(source[LONGER.NEXT], queue[1])
  if source[LONGER.NEXT] > math.min(source[LONGER.LAST], queue[2]) then
    return nil
  end
  local entry = queue_entry(source[LONGER.NAME], source[LONGER.NEXT])
  source[LONGER.NEXT] = source[LONGER.NEXT] + 1
  return entry[1] <= source[LONGER.DUE] and entry or nil
end

-- lengthen: [18, number of the break, ms] → [0, holds lengthened, holds that a cap kept from it, 1 where more is to be
-- done at once]. Everything held or offered now ends so much later. Some hundred holds a call: what a break still has
-- to walk stands in meta, so that whoever asks again with its number goes on where anybody stopped, and a break that is
-- done stays done. An earlier break than the last one has nothing more to do.
VERBS[18] = function(request)
  local number, ms = request[2], request[3]
  if not (is_count(number, 1, UNITS_MAX) and is_count(ms, DURATION_MS_MIN, BREAK_MS_MAX)) then
    return {MALFORMED}
  end
  if not LONGER.record then
    local raw = call('HGET', META, 'longer')
    LONGER.record = raw and unpack_one(raw) or {0, 0, 0, 0, 0, {}}
  end
  if number < LONGER.record[LONGER.NUMBER] then
    return {OK, 0, 0, 0}
  end
  if number > LONGER.record[LONGER.NUMBER] then
    LONGER.record = LONGER.begin(LONGER.record, number, ms)
  end
  LONGER.changed = true
  local record, seen = LONGER.record, 0
  local sources = record[LONGER.SOURCES]
  while sources[1] and seen < RUN_OUT_MAX do
    local entry = LONGER.next_entry(sources[1])
    if entry then
      seen = seen + LONGER.move_entry(record, sources[1], entry)
    else
      table.remove(sources, 1)
    end
  end
  return {OK, record[LONGER.HOLDS], record[LONGER.CAPPED], sources[1] and 1 or 0}
end

-- How the draw of a deal stands: [0, phase (0 where it has none), entrants, base, drawn, in the line, root].
function DRAW.stands(draw)
  if not draw then
    return {OK, 0, 0, 0, 0, 0, ''}
  end
  return {OK, draw[DRAW.PHASE], draw[DRAW.ENTRANTS], draw[DRAW.BASE], draw[DRAW.COUNT], draw[DRAW.LINE], draw[DRAW.ROOT]}
end

function DRAW.finish(id)
  deals[id][D_DRAW][DRAW.PHASE] = DRAW.DRAWN
  freed[id] = true
end

-- end_window: [14, deal] → how the draw stands. From here on nobody enters and nobody leaves: who is in the draw is
-- fixed, and as many tickets are set aside as there are entrants. A second one changes nothing.
VERBS[14] = function(request)
  local id = request[2]
  local deal = deals[id]
  if not deal then
    return {UNKNOWN_DEAL, id}
  end
  local draw = deal[D_DRAW]
  if draw and draw[DRAW.PHASE] == DRAW.ENTERING and deal[D_STATUS] == OPEN then
    draw[DRAW.PHASE], draw[DRAW.ENTRANTS], draw[DRAW.BASE] = DRAW.DRAWING, deal[D_WAITING], ticket
    ticket = ticket + deal[D_WAITING]
    changed(deals_changed, deals_seen, id)
    if draw[DRAW.ENTRANTS] == 0 then
      DRAW.finish(id)
    end
  end
  return DRAW.stands(draw)
end

-- The next of the draw's order: a hold where every unit is left, else a place in the line, both under a new ticket, so
-- that the line goes on in the order of tickets, as any other.
function DRAW.place(key, hold, deal)
  local draw, hold_ms = deal[D_DRAW], deal[D_HOLD_MS]
  draw[DRAW.COUNT] = draw[DRAW.COUNT] + 1
  leave_list(key, hold)
  hold[H_TICKET] = draw[DRAW.BASE] + draw[DRAW.COUNT]
  if hold[H_LINES + 1] <= deal[D_AVAILABLE] and not (deal[D_RULE] == 1 and draw[DRAW.LINE] > 0) then
    count(C.DRAWN)
    move_units(hold, D_AVAILABLE, D_HELD)
    become(key, hold, HELD, clk + hold_ms, 'held')
    enqueue(hold_ms, key)
  else
    count(C.WAITING)
    draw[DRAW.LINE] = draw[DRAW.LINE] + 1
    hold[H_PLACE] = draw[DRAW.LINE]
    list_hold(key, hold)
    become(key, hold, WAITING, 0, 'waiting')
  end
end

-- draw: [15, deal, root, drawn before, viewer/rid, …] → how the draw stands, and 1 after it where this call gave the
-- places. The next of the order, at most 64. Where it stands elsewhere than the caller thinks (another worker went on
-- with it) nothing moves, and the answer says where.
VERBS[15] = function(request)
  local id, root = request[2], request[3]
  local deal = deals[id]
  if not deal then
    return {UNKNOWN_DEAL, id}
  end
  local draw = deal[D_DRAW]
  if not draw or draw[DRAW.PHASE] ~= DRAW.DRAWING or draw[DRAW.COUNT] ~= request[4]
    or (draw[DRAW.ROOT] ~= '' and draw[DRAW.ROOT] ~= root) then
    return DRAW.stands(draw)
  end
  local named = {}
  for at = 5, #request do
    local key = request[at]
    local hold = holds[key]
    if named[key] or not hold or hold[H_STATE] ~= DRAW.ENTERED or hold[H_LINES] ~= id then
      return {MALFORMED}
    end
    named[key] = true
  end
  draw[DRAW.ROOT] = root
  for at = 5, #request do
    DRAW.place(request[at], holds[request[at]], deal)
  end
  changed(deals_changed, deals_seen, id)
  if draw[DRAW.COUNT] == draw[DRAW.ENTRANTS] then
    DRAW.finish(id)
  end
  local told = DRAW.stands(draw)
  told[#told + 1] = 1
  return told
end

end     -- of the verbs

-- ------------------------------------------------------------------------------------------------ planning: the batch

local function is_viewer(text)
  return type(text) == 'string' and #text >= 1 and #text <= 64 and not string.find(text, '[/%s~@]')
end

local function is_rid(text)
  return type(text) == 'string' and #text >= 8 and #text <= 40 and not string.find(text, '[^%w_-]')
end

-- An opaque word, or nothing.
local function is_opaque(text)
  return text == '' or is_viewer(text)
end

local function has_lines(request)
  local lines = (#request - R_LINES + 1) / 2
  if floor(lines) ~= lines or lines < 1 or lines > LINES_MAX or type(request[5]) ~= 'string' or #request[5] > 200
    or (request[4] ~= 0 and request[4] ~= 1) or not is_opaque(request[6]) or not is_opaque(request[7]) then
    return false
  end
  for at = R_LINES, #request, 2 do
    if type(request[at]) ~= 'string' or #request[at] > 64 or type(request[at + 1]) ~= 'number' then
      return false
    end
  end
  return true
end

local OF_A_HOLD = {[2] = true, [3] = true, [4] = true, [5] = true, [6] = true, [7] = true, [16] = true}
local OF_A_DEAL = {[9] = true, [10] = true, [13] = true, [14] = true}

function DRAW.is_well_formed(request)
  local keys = #request - 4
  if type(request[3]) ~= 'string' or #request[3] ~= 64 or not is_count(request[4], 0, 1e9)
    or keys < 1 or keys > REQUESTS_MAX then
    return false
  end
  for at = 5, #request do
    local key = request[at]
    if type(key) ~= 'string' or #key > 105 or not string.find(key, '^[^/%s]+/[%w_-]+$') then
      return false
    end
  end
  return true
end

-- What a request must be to be looked at; what it says is judged by its verb.
local function is_well_formed(request)
  if type(request) ~= 'table' or not VERBS[request[1]] then
    return false
  end
  local verb = request[1]
  if verb == 17 then
    return is_rid(request[2]) and type(request[3]) == 'table' and request[3][1] == 1 and is_well_formed(request[3])
      and request[3][4] == 0 and request[3][3] ~= request[2]
  end
  if OF_A_HOLD[verb] or verb == 1 then
    return is_viewer(request[2]) and is_rid(request[3]) and (verb > 1 or has_lines(request))
  end
  if OF_A_DEAL[verb] then
    return type(request[2]) == 'string'
  end
  if verb == 15 then
    return type(request[2]) == 'string' and DRAW.is_well_formed(request)
  end
  return verb ~= 11 or is_viewer(request[2])
end

local well_formed, key_of = {}, {}
do
  local keys, wanted_deals, wanted_fields = {}, {}, {}
  for i = 1, #requests do
    local request = requests[i]
    well_formed[i] = is_well_formed(request)
    if well_formed[i] then
      if OF_A_HOLD[request[1]] or request[1] == 1 then
        local key = request[2] .. '/' .. request[3]
        keys[#keys + 1] = key
        key_of[i] = key
      elseif request[1] == 17 then
        local viewer = request[3][2]
        key_of[i] = viewer .. '/' .. request[3][3]
        keys[#keys + 1] = key_of[i]
        keys[#keys + 1] = viewer .. '/' .. request[2]
      elseif OF_A_DEAL[request[1]] then
        wanted_deals[#wanted_deals + 1] = request[2]
      elseif request[1] == 15 then
        wanted_deals[#wanted_deals + 1] = request[2]
        for at = 5, #request do
          keys[#keys + 1] = request[at]
        end
      elseif request[1] == 11 then
        wanted_fields[#wanted_fields + 1] = request[2]
      end
    end
  end
  load_holds(keys)
  for i = 1, #requests do
    local request = requests[i]
    if well_formed[i] and request[1] == 17 then
      request = request[3]     -- what it wants is loaded as a reserve's
    end
    if well_formed[i] and request[1] == 1 then
      local viewer = request[2]
      wanted_fields[#wanted_fields + 1] = viewer
      for at = R_LINES, #request, 2 do
        wanted_deals[#wanted_deals + 1] = request[at]
        wanted_fields[#wanted_fields + 1] = viewer .. '/' .. request[at]
      end
    end
  end
  load(DEALS, deals, wanted_deals, unpack_one)
  -- The deals say what is counted, so they are read first.
  local ruled = show_limit > 0
  for _, deal in pairs(deals) do
    ruled = ruled or (deal and deal[D_BY] + deal[D_ADDRESS_CAP] + deal[D_HOLD_CAP] > 0)
  end
  for i = 1, ruled and #requests or 0 do
    local request = requests[i]
    if well_formed[i] and request[1] == 17 then
      request = request[3]
    end
    if well_formed[i] and request[1] == 1 then
      local rules = rules_of(request)
      request.rules = rules
      if rules and rules ~= JUST_TIMED then
        names_charged(rules.charged, wanted_fields)
      end
    end
  end
  load(VIEWERS, fields, wanted_fields)
  load_around(keys)
end

local answers = {}
for i = 1, #requests do
  local request = requests[i]
  if not well_formed[i] then
    answers[i] = {MALFORMED}
  elseif OF_A_HOLD[request[1]] then
    local key = key_of[i]
    local hold = current(key)
    answers[i] = hold and VERBS[request[1]](request, key, hold) or {NOT_FOUND}
  else
    answers[i] = VERBS[request[1]](request, key_of[i])
  end
end
for id in pairs(freed) do
  offer_freed(id)
end

-- Our own promises, before anything is written: what fails here leaves the books as they were.
for i = 1, #deals_changed do
  local deal = deals[deals_changed[i]]
  local available, held, paying, sold = deal[D_AVAILABLE], deal[D_HELD], deal[D_PAYING], deal[D_SOLD]
  if available < 0 or held < 0 or paying < 0 or sold < 0 or deal[D_WAITING] < 0
    or available + held + paying + sold ~= deal[D_QUOTA] then
    return redis.error_reply('BROKEN conservation of ' .. deals_changed[i])
  end
end

-- ------------------------------------------------------------------------------------------------------------ writing

local packed = {}
for i = 1, #holds_changed do
  packed[holds_changed[i]] = pack(holds[holds_changed[i]])
end

local next_due = -1
for _, queue in pairs(queues) do
  if next_due < 0 or queue[3] < next_due then
    next_due = queue[3]
  end
end

do
  local todo_list = {}
  for id in pairs(todo) do
    todo_list[#todo_list + 1] = id
    next_due = clk
  end
  call('HSET', META, 'seq', seq, 'clk', clk, 'last', now_ms, 'ticket', ticket, 'queues', pack(queues),
    'counts', pack(counts), 'todo', pack(todo_list))
  if LONGER.changed then
    call('HSET', META, 'longer', pack(LONGER.record))
  end
  call('HSET', TIPS, seq % TIPS_RING, tip)
end

local function write_names(command, key, names)
  for from = 1, #names, PART do
    call(command, key, unpack(names, from, math.min(from + PART - 1, #names)))
  end
end

local function write_pairs(command, key, list, value_of)
  local words = {}
  for i = 1, #list do
    words[2 * i - 1] = list[i]
    words[2 * i] = value_of(list[i])
  end
  write_names(command, key, words)
end

local function names_of(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  return names
end

local relayed_levels = {}
for i = 1, #deals_changed do
  local deal = deals[deals_changed[i]]
  relayed_levels[deals_changed[i]] =
    {deal[D_AVAILABLE], deal[D_HELD], deal[D_PAYING], deal[D_SOLD], deal[D_WAITING]}
end
write_pairs('HSET', DEALS, deals_changed, function(id) return pack(deals[id]) end)
write_pairs('HSET', RIDS, holds_changed, function(key) return packed[key] end)

do
  local kept, gone = {}, {}
  for i = 1, #fields_changed do
    local name = fields_changed[i]
    if fields[name] and fields[name] ~= 0 then
      kept[#kept + 1] = name
    else
      gone[#gone + 1] = name
    end
  end
  write_pairs('HSET', VIEWERS, kept, function(name) return fields[name] end)
  write_names('HDEL', VIEWERS, gone)
end

-- First out, then in: a queue that ran empty counts from 1 again, and may use the name of an entry that goes.
write_names('HDEL', QUEUES, entries_gone)
for duration, entry in pairs(pending) do
  call('HSET', QUEUES, string.format('%d:%d', duration, queues[duration][2]), pack(entry))
end
write_pairs('HSET', QUEUES, LONGER.made, function(field) return pack(entries[field]) end)

do
  local joined = {}
  for i = 1, #waits_new do
    if waits_gone[waits_new[i]] then
      waits_gone[waits_new[i]] = nil     -- came and went within this call
    else
      joined[#joined + 1] = 0
      joined[#joined + 1] = waits_new[i]
    end
  end
  write_names('ZADD', WAITS, joined)
  write_names('ZREM', WAITS, names_of(waits_gone))
end

write_names('ZREM', PAYING_SET, names_of(paying_gone))
for key, due in pairs(paying_new) do
  call('ZADD', PAYING_SET, due, key)
end
write_pairs('HSET', MOVES, names_of(moves_new), function(name) return moves_new[name] end)

if #events > 0 then
  call('XADD', JOURNAL, '*', 'b', pack({seq, clk, now_ms, events}))
end

if #holds_changed > 0 or #deals_changed > 0 then
  local relayed = {}
  for i = 1, #holds_changed do
    local hold = holds[holds_changed[i]]
    -- "Held" at level `ledger` (2) is told by `witnessed.lua`, once its row is committed. A cart promises what its
    -- weakest line does.
    local level = hold[H_STATE] == HELD and 2 or 0
    for at = H_LINES, level == 2 and #hold or 0, 2 do
      level = math.min(level, deals[hold[at]][D_LEVEL])
    end
    if level < 2 then
      local owner = owner_of(holds_changed[i])
      relayed[#relayed + 1] = {owner[1], owner[2], packed[holds_changed[i]]}
    end
  end
  call('PUBLISH', CHANNEL, pack({'engine', seq, relayed_levels, relayed}))
end

-- ----------------------------------------------------------------------------------------------------------- answering

-- The place in the line now: those before her may have left. 0 for who does not wait.
local function place_of(key)
  local hold = holds[key]
  if hold[H_STATE] ~= WAITING then
    return 0
  end
  return call('ZLEXCOUNT', WAITS, '[' .. hold[H_LINES] .. ':', '[' .. wait_member(key, hold))
end

for i = 1, #answers do
  local answer = answers[i]
  if answer[1] == OK and type(answer[2]) == 'table' then
    local flat = {}
    for j = 1, #answer[2] do
      local key = answer[2][j]
      flat[#flat + 1] = owner_of(key)[2]
      flat[#flat + 1] = packed[key] or pack(holds[key])
      flat[#flat + 1] = place_of(key)
    end
    answers[i] = {OK, flat}
  elseif answer[1] == OK and type(answer[2]) == 'string' then
    local key = answer[2]
    packed[key] = packed[key] or pack(holds[key])
    answers[i] = {OK, packed[key], place_of(key)}
  end
end

local levels = {}
for id, deal in pairs(deals) do
  if deal then
    levels[id] = {deal[D_AVAILABLE], deal[D_HELD], deal[D_PAYING], deal[D_SOLD], deal[D_WAITING], deal[D_LEVEL]}
  end
end

return pack({epoch, seq, clk, next_due, levels, answers})
