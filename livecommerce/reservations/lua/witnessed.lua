-- Tells a show's rooms of holds of level `ledger`, once their rows are committed in SQL. `reserve.lua` leaves them out:
-- nobody may hear "held" before the commit. A hold that changed meanwhile was told as it is by the call that changed it,
-- so only what still stands as it was answered is told: a room never hears an older state after a newer one.
--
-- KEYS[1] rids     HASH of the show     KEYS[2] channel
-- ARGV[1] msgpack  [[viewer, rid, record], ...], at most 256
--
-- Writes nothing. Answers how many were told.

local RIDS, CHANNEL = KEYS[1], KEYS[2]
local told = cmsgpack.unpack(ARGV[1])

local names = {}
for i = 1, #told do
  names[i] = told[i][1] .. '/' .. told[i][2]
end
local now = #names > 0 and redis.call('HMGET', RIDS, unpack(names)) or {}
local standing = {}
for i = 1, #told do
  if now[i] == told[i][3] then
    standing[#standing + 1] = told[i]
  end
end
if #standing > 0 then
  -- Version 0 and no levels: this message says nothing about stock.
  redis.call('PUBLISH', CHANNEL, cmsgpack.pack({'engine', 0, {}, standing}))
end
return tostring(#standing)
