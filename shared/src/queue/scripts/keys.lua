-- The keys. The README of the queue describes each of them.
--
-- KEYS[1] is the prefix. It has a hash tag, so that all keys share a slot.
local p = KEYS[1]
local PARKED, LEASES = p .. ':parked', p .. ':leases'
local CLASSES = {'fresh', 'backfill'}
-- What a turn costs in virtual time. Virtual time is a whole number, which is quick to write.
local TURN = 65536
local RING = {fresh = p .. ':ring:fresh', backfill = p .. ':ring:backfill'}
local REST = {fresh = p .. ':rest:fresh:', backfill = p .. ':rest:backfill:'}
local CLOCK, FENCE, VTIME = p .. ':clock', p .. ':fence', {fresh = p .. ':vtime:fresh', backfill = p .. ':vtime:backfill'}
local GRACE = p .. ':grace'
