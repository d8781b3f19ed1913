-- exchange(prefix, lease_ms, cap, most, most_backfill, suspects, pass, {ticket, fence, verdict, wait_ms}...):
-- the one call of a working worker. Settles leases, takes back dead workers' ones, readies what was parked until
-- now, and leases up to `most` tickets, one per tenant and turn. Each step is bounded, whatever is due.
-- Returns {milliseconds until the next parked ticket or -1, taken back, {1 or 0 per settled lease},
-- {ticket, fence, crashes, milliseconds ready, ...}, {why a ticket was refused, ...}}.
local BITE = 64
-- A ticket whose worker died twice is leased to a worker that has no other such one: should it kill again,
-- nobody is counted dead beside it who was beside it before.
local SUSPECT = 2
local lease, cap, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most_backfill, suspects, pass = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'

local function held(ticket)
    local state = redis.call('HGET', TICKETS, ticket)
    local fence, again, finish, since, crashes = string.match(state or '', '^(%d+),([01]),([^,]+),(%d+),(%d+)$')
    return fence, again == '1', tonumber(finish), since, tonumber(crashes)
end

-- Ends a lease in the books. Returns whether its tenant was at its cap, and is not any more.
local function release(ticket, class, tenant)
    redis.call('ZREM', LEASES, ticket)
    count('leased', class, -1)
    local inflight = redis.call('HINCRBY', INFLIGHT, tenant, -1)
    if inflight <= 0 then redis.call('HDEL', INFLIGHT, tenant) end
    return inflight < cap and some('capped') and redis.call('SREM', p .. ':capped', tenant) == 1
end
local function uncap(tenant)
    for _, class in ipairs(CLASSES) do reenter(class, tenant, vtime(class)) end
end

-- 0 when the lease was no longer this one's: the ticket was given to someone else and stays theirs.
local function settle(ticket, by, verdict, wait)
    local class, tenant = read(ticket)
    local fence, again, finish, since, crashes = held(ticket)
    if not class or fence ~= by then return 0 end
    local uncapped = release(ticket, class, tenant)
    if verdict == 'back' then
        -- Not begun: to the front, as if never taken.
        ready(ticket, class, tenant, 'LPUSH', since, crashes, vtime(class))
    elseif verdict == 'wait' then
        redis.call('HDEL', TICKETS, ticket)
        redis.call('ZADD', PARKED, now + wait, ticket)
        count('parked', class, 1)
    elseif verdict == 'more' or again then
        -- One slice is one turn: it comes after those who waited while it was worked on.
        ready(ticket, class, tenant, 'RPUSH', now, 0, math.max(vtime(class), finish))
    else
        redis.call('HDEL', TICKETS, ticket)
    end
    if uncapped then uncap(tenant) end
    return 1
end

local settled = {}
for i = 7, #ARGV, 4 do
    settled[#settled + 1] = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]))
end

-- Sweep: what a dead worker held goes to the front, and its death is counted.
local swept = 0
for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, BITE)) do
    local class, tenant = read(ticket)
    local fence, _, _, since, crashes = held(ticket)
    if class and fence then
        local uncapped = release(ticket, class, tenant)
        ready(ticket, class, tenant, 'LPUSH', since, crashes + 1, vtime(class))
        if uncapped then uncap(tenant) end
        swept = swept + 1
    else
        redis.call('ZREM', LEASES, ticket)
        -- A state that nobody can read: the next push makes the ticket anew.
        if redis.call('HGET', TICKETS, ticket) ~= 'ready' then redis.call('HDEL', TICKETS, ticket) end
    end
end

-- Promote: what was parked until now.
local refused = {}
local due = redis.call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, BITE)
if #due > 0 then redis.call('ZREMRANGEBYRANK', PARKED, 0, #due - 1) end
for _, ticket in ipairs(due) do
    local class, tenant = read(ticket)
    if class then
        count('parked', class, -1)
        if redis.call('HEXISTS', TICKETS, ticket) == 0 then
            ready(ticket, class, tenant, 'RPUSH', now, 0, vtime(class))
        end
    else
        refused[#refused + 1] = tenant
    end
end

-- The first ticket of a tenant's list; nil when it is not one that may be leased.
local function first(class, tenant, list)
    local entry = redis.call('LPOP', list)
    if not entry then return nil end
    local since, crashes, ticket, its_class, its_tenant =
        string.match(entry, '^(%d+),(%d+),(1/(%l+)/([%x%-]+)/[%x%-]+/%l+)$')
    if not ticket or #ticket > 160 then
        local text = string.match(entry, '^%d+,%d+,(.*)$') or entry
        local unreadable, reason = read(text)
        -- A good ticket in a bad place, or letters that no ticket has.
        if unreadable then reason = text == entry and 'foreign' or 'garbled' end
        refused[#refused + 1] = reason
        if reason ~= 'foreign' and redis.call('HDEL', TICKETS, text) == 1 then count('ready', class, -1) end
    elseif its_class ~= class or its_tenant ~= tenant or redis.call('HGET', TICKETS, ticket) ~= 'ready' then
        refused[#refused + 1] = 'foreign'
    elseif tonumber(crashes) >= SUSPECT and suspects == 0 then
        redis.call('LPUSH', list, entry)
        return nil, true
    else
        return {ticket = ticket, since = since, crashes = crashes}
    end
end

-- Claim: the tenant with the least virtual time first.
local leases = {}
local function take(class, limit)
    local ring, aside = RING[class], {}
    local left, probes = limit > 0 and redis.call('ZCARD', ring) or 0, 2 * BITE
    while limit > 0 and left > 0 and probes > 0 do
        probes = probes - 1
        local popped = redis.call('ZPOPMIN', ring)
        local tenant, at = popped[1], tonumber(popped[2])
        local list = READY[class] .. tenant
        left = left - 1
        local ticket, suspect = first(class, tenant, list)
        local inflight = 0
        if ticket then
            inflight = redis.call('HINCRBY', INFLIGHT, tenant, 1)
            -- Time goes on by one turn's share with each turn, so that nobody who comes later can come before
            -- everybody for ever.
            vtimes[class] = math.max(at, vtime(class) + 1 / (left + 1))
            moved[class] = true
            ticket.finish = at + 1
            leases[#leases + 1] = ticket
            count('ready', class, -1)
            count('leased', class, 1)
            limit = limit - 1
            if tonumber(ticket.crashes) >= SUSPECT then suspects = suspects - 1 end
        end
        if suspect then
            aside[#aside + 1] = {tenant, at}
            if #aside >= 16 then limit = 0 end
        elseif inflight >= cap then
            redis.call('SADD', p .. ':capped', tenant)
            exists.capped = true
            leave('fresh', tenant)
            leave('backfill', tenant)
        else
            local next = redis.call('LINDEX', list, 0)
            if next then
                redis.call('ZADD', ring, math.max(vtime(class), at + (ticket and 1 or 0)), tenant)
                redis.call('ZADD', SINCE[class], string.match(next, '^(%d+),') or now, tenant)
                left = left + 1
            else
                redis.call('ZREM', SINCE[class], tenant)
            end
        end
    end
    for _, entry in ipairs(aside) do redis.call('ZADD', ring, entry[2], entry[1]) end
end

-- Fences only grow, also over the loss of all keys: the first one is the time in microseconds. They are drawn
-- before any ticket is touched, and those not used are put back.
local base
if most > 0 then
    base = redis.call('INCRBY', p .. ':fence', most) - most
    if base == 0 then
        base = time[1] * 1000000 + time[2]
        redis.call('SET', p .. ':fence', string.format('%.0f', base + most))
    end
    if not is('paused', 'fleet') then
        if not is('paused', 'fresh') then take('fresh', most) end
        if not is('paused', 'backfill') then take('backfill', math.min(most - #leases, most_backfill)) end
    end
    if #leases < most then redis.call('DECRBY', p .. ':fence', most - #leases) end
end

local claimed, states, deadlines = {}, {}, {}
for i, ticket in ipairs(leases) do
    -- Sixteen digits: Lua's own conversion to text would round them.
    local fence = string.format('%.0f', base + i)
    local state = {fence, '0', string.format('%.17g', ticket.finish), ticket.since, ticket.crashes}
    states[2 * i - 1], states[2 * i] = ticket.ticket, table.concat(state, ',')
    deadlines[2 * i - 1], deadlines[2 * i] = now + lease, ticket.ticket
    claimed[4 * i - 3], claimed[4 * i - 2] = ticket.ticket, fence
    claimed[4 * i - 1], claimed[4 * i] = ticket.crashes, string.format('%.0f', math.max(0, now - ticket.since))
end
if #leases > 0 then
    redis.call('HSET', TICKETS, unpack(states))
    redis.call('ZADD', LEASES, unpack(deadlines))
end

if #leases > 0 or pass then awake.fresh, awake.backfill = true, true end
save()
local parked = redis.call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')
local wait = parked[2] and math.max(0, tonumber(parked[2]) - now) or -1
return {string.format('%.0f', wait), swept, settled, claimed, refused}
