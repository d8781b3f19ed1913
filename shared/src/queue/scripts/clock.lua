-- The clock and the virtual time, as they were when the call began.
local time = redis.call('TIME')
local kept = redis.call('MGET', CLOCK, FENCE, VTIME.fresh, VTIME.backfill, GRACE)
local vtimes = {fresh = tonumber(kept[3] or 0) or 0, backfill = tonumber(kept[4] or 0) or 0}
-- As text. Only a claim moves the virtual time, and claims come last in a call.
local VNOW = {fresh = string.format('%d', vtimes.fresh), backfill = string.format('%d', vtimes.backfill)}
-- Where a tenant begins that is new or comes back. One turn of credit lets it skip a whole round of the others, and
-- it gets no more, however long it was away.
local VNEW = {
    fresh = string.format('%d', math.max(0, vtimes.fresh - TURN)),
    backfill = string.format('%d', math.max(0, vtimes.backfill - TURN)),
}

-- Milliseconds that never run backwards. If the server's clock is set back, the distance is added from then on.
local function read_clock()
    local raw = time[1] * 1000 + math.floor(time[2] / 1000)
    local last, ahead = string.match(kept[1] or '', '^(%d+):(%d+)$')
    last, ahead = tonumber(last or 0), tonumber(ahead or 0)
    if raw + ahead < last then ahead = last - raw end
    return raw + ahead, ahead, last
end
local now, ahead, last = read_clock()
-- Lua's own conversion to text would round it.
local NOW = string.format('%d', now)
-- What the call writes with MSET at its end.
local strings = {CLOCK, string.format('%s:%d', NOW, ahead)}

-- A live worker calls every second. If no worker called for half a lease, Redis was away or its clock was set
-- forward. A lease that expired meanwhile says nothing about its worker, so the worker gets another lease's time to
-- renew it.
local UNHEARD, ONE_LEASE = 3000, 6000
local grace = tonumber(kept[5] or 0) or 0
if last > 0 and now - last > UNHEARD then
    grace = now + ONE_LEASE
    strings[3], strings[4] = GRACE, string.format('%d', grace)
end
