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

-- Reads in bulk what a step will ask about these tickets. Returns their tenants.
local function look_up(tickets, verdicts)
    local tenants, by_class = {}, {fresh = {}, backfill = {}}
    for i = 1, #tickets do
        local class, tenant = read(tickets[i])
        if class then
            tenants[#tenants + 1] = tenant
            -- What is done or has to wait takes no place in a turn.
            local verdict = verdicts and verdicts[i]
            if verdict ~= 'done' and verdict ~= 'wait' then by_class[class][#by_class[class] + 1] = tenant end
        end
    end
    fetch(TICKETS, tickets)
    fetch(PAUSED, tenants)
    fetch(CAPPED, tenants)
    fetch(FIRST.fresh, by_class.fresh)
    fetch(FIRST.backfill, by_class.backfill)
    return tenants
end

local function held(ticket)
    local fence, again, finish, since, crashes =
        string.match(get(TICKETS, ticket) or '', '^(%d+),([01]),([^,]+),(%d+),(%d+)$')
    return fence, again == '1', tonumber(finish), since, tonumber(crashes)
end

-- Ends a lease in the books. Returns whether its tenant was at its cap, and is not any more.
local ended = {}
local function release(ticket, class, tenant)
    ended[#ended + 1] = ticket
    count('leased', class, -1)
    local inflight = (tonumber(get(INFLIGHT, tenant) or 0) or 0) - 1
    put(INFLIGHT, tenant, inflight > 0 and tostring(inflight))
    if inflight >= cap or not get(CAPPED, tenant) then return false end
    put(CAPPED, tenant, false)
    return true
end
local function uncap(tenant)
    for _, class in ipairs(CLASSES) do reenter(class, tenant, vtimes[class]) end
end
local function end_leases()
    if #ended > 0 then redis.call('ZREM', LEASES, unpack(ended)) end
    ended = {}
end

-- 0 when the lease was no longer this one's: the ticket was given to someone else and stays theirs.
local parking = {}
local function settle(ticket, by, verdict, wait)
    local class, tenant = read(ticket)
    local fence, again, finish, since, crashes = held(ticket)
    if not class or fence ~= by then return 0 end
    local uncapped = release(ticket, class, tenant)
    if verdict == 'back' then
        -- Not begun: to the front, as if never taken.
        ready(ticket, class, tenant, true, since, crashes, vtimes[class])
    elseif verdict == 'wait' then
        put(TICKETS, ticket, false)
        parking[#parking + 1] = now + wait
        parking[#parking + 1] = ticket
        count('parked', class, 1)
    elseif verdict == 'more' or again then
        -- One slice is one turn: it comes after those who waited while it was worked on.
        ready(ticket, class, tenant, false, NOW, 0, math.max(vtimes[class], finish))
    else
        put(TICKETS, ticket, false)
    end
    if uncapped then uncap(tenant) end
    return 1
end

local settled = {}
if #ARGV > 6 then
    local tickets, verdicts = {}, {}
    for i = 7, #ARGV, 4 do
        tickets[#tickets + 1] = ARGV[i]
        verdicts[#verdicts + 1] = ARGV[i + 2]
    end
    fetch(INFLIGHT, look_up(tickets, verdicts))
    for i = 7, #ARGV, 4 do
        settled[#settled + 1] = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]))
    end
    end_leases()
    if #parking > 0 then redis.call('ZADD', PARKED, unpack(parking)) end
end

-- Sweep: what a dead worker held goes to the front, and its death is counted.
local swept = 0
local dead = redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, BITE)
if #dead > 0 then
    fetch(INFLIGHT, look_up(dead))
    for _, ticket in ipairs(dead) do
        local class, tenant = read(ticket)
        local fence, _, _, since, crashes = held(ticket)
        if class and fence then
            local uncapped = release(ticket, class, tenant)
            ready(ticket, class, tenant, true, since, crashes + 1, vtimes[class])
            if uncapped then uncap(tenant) end
            swept = swept + 1
        else
            ended[#ended + 1] = ticket
            -- A state that nobody can read: the next push makes the ticket anew.
            if get(TICKETS, ticket) ~= 'ready' then put(TICKETS, ticket, false) end
        end
    end
    end_leases()
end

-- Promote: what was parked until now.
local refused = {}
local parked = redis.call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')
if parked[2] and tonumber(parked[2]) <= now then
    local due = redis.call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, BITE)
    redis.call('ZREMRANGEBYRANK', PARKED, 0, #due - 1)
    look_up(due)
    for _, ticket in ipairs(due) do
        local class, tenant = read(ticket)
        if class then
            count('parked', class, -1)
            if not get(TICKETS, ticket) then ready(ticket, class, tenant, false, NOW, 0, vtimes[class]) end
        else
            refused[#refused + 1] = tenant
        end
    end
    parked = redis.call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')
end
local wait = parked[2] and math.max(0, tonumber(parked[2]) - now) or -1

-- {ticket, since, crashes, class, tenant} of a first one, or false when it is no good one.
local parsed = {}
local function parse(first)
    if parsed[first] == nil then
        local since, crashes, ticket, class, tenant =
            string.match(first, '^[+-](%d+),(%d+),(1/(%l+)/([%x%-]+)/[%x%-]+/%l+)$')
        parsed[first] = ticket and #ticket <= 160
            and {ticket = ticket, since = since, crashes = crashes, class = class, tenant = tenant}
    end
    return parsed[first]
end

-- The next one of those behind a first one, or false.
local function next_of(class, tenant)
    local entry = redis.call('LPOP', REST[class] .. tenant)
    return entry and '+' .. entry
end

-- Takes the first ticket of a tenant's turn; nil when it is not one that may be leased.
local function take_first(class, tenant)
    -- One in the ring always has a first one, unless another hand took it.
    local first = get(FIRST[class], tenant) or next_of(class, tenant)
    if not first then return nil end
    local entry = parse(first)
    local good = entry and entry.class == class and entry.tenant == tenant and get(TICKETS, entry.ticket) == 'ready'
    if good and tonumber(entry.crashes) >= SUSPECT and suspects == 0 then
        put(FIRST[class], tenant, first)
        return nil, true
    end
    put(FIRST[class], tenant, string.sub(first, 1, 1) ~= '-' and next_of(class, tenant))
    if good then return entry end
    if entry then
        refused[#refused + 1] = 'foreign'
        return nil
    end
    local text = string.match(first, '^[+-]%d+,%d+,(.*)$')
    local unreadable, reason = read(text or string.gsub(first, '^[+-]', ''))
    -- A good ticket in a bad place, or letters that no ticket has.
    if unreadable then reason = text and 'garbled' or 'foreign' end
    refused[#refused + 1] = reason
    if text and reason ~= 'foreign' and get(TICKETS, text) then
        put(TICKETS, text, false)
        count('ready', class, -1)
    end
end

-- Fences only grow, also over the loss of all keys: the first one is the time in microseconds.
local base = tonumber(kept[2] or 0) or 0
if base == 0 then base = time[1] * 1000000 + time[2] end

-- Claim: the tenant with the least virtual time first. The ring is read from its start, a window at a time, and
-- changed at the end: until then those who come back for another turn are in `again`, in the ring's order.
local claimed, deadlines, taken = {}, {}, 0
local function lease_to_caller(ticket, since, crashes, finish)
    taken = taken + 1
    local fence = string.format('%.0f', base + taken)
    put(TICKETS, ticket, string.format('%s,0,%.17g,%s,%s', fence, finish, since, crashes))
    deadlines[2 * taken - 1], deadlines[2 * taken] = now + lease, ticket
    claimed[4 * taken - 3], claimed[4 * taken - 2] = ticket, fence
    claimed[4 * taken - 1], claimed[4 * taken] = crashes, string.format('%.0f', math.max(0, now - since))
end
local function take(class, limit)
    if limit <= 0 then return end
    local ring = RING[class]
    local left = redis.call('ZCARD', ring)
    local window, at_window, again, at_again, aside, out = {}, 1, {}, 1, {}, {}
    local size, seen, probes = left, 0, 2 * BITE

    local function read_on()
        local some = redis.call('ZRANGE', ring, seen, seen + math.min(probes, math.max(limit, seen)) - 1, 'WITHSCORES')
        local tenants, tickets = {}, {}
        for i = 1, #some, 2 do
            seen = seen + 1
            tenants[#tenants + 1] = some[i]
            window[seen] = {tenant = some[i], at = tonumber(some[i + 1])}
        end
        fetch(FIRST[class], tenants)
        fetch(INFLIGHT, tenants)
        for i = 1, #tenants do
            local first = get(FIRST[class], tenants[i])
            local entry = first and parse(first)
            if entry then tickets[#tickets + 1] = entry.ticket end
        end
        fetch(TICKETS, tickets)
    end
    local function next_tenant()
        if at_window > seen and seen < size then read_on() end
        local one, other = window[at_window], again[at_again]
        if other and (not one or other.at < one.at or other.at == one.at and other.tenant < one.tenant) then
            at_again = at_again + 1
            return other.tenant, other.at
        end
        at_window = at_window + 1
        return one.tenant, one.at
    end
    local function come_again(tenant, at)
        local i = #again
        while i >= at_again and (again[i].at > at or again[i].at == at and again[i].tenant > tenant) do
            again[i + 1] = again[i]
            i = i - 1
        end
        again[i + 1] = {tenant = tenant, at = at}
        left = left + 1
    end

    while limit > 0 and left > 0 and probes > 0 do
        local tenant, at = next_tenant()
        probes, left = probes - 1, left - 1
        local ticket, suspect = take_first(class, tenant)
        local inflight = 0
        if ticket then
            inflight = (tonumber(get(INFLIGHT, tenant) or 0) or 0) + 1
            put(INFLIGHT, tenant, tostring(inflight))
            -- Time goes on by one turn's share with each turn, so that nobody who comes later can come before
            -- everybody for ever.
            vtimes[class] = math.max(at, vtimes[class] + 1 / (left + 1))
            lease_to_caller(ticket.ticket, ticket.since, ticket.crashes, at + 1)
            count('ready', class, -1)
            count('leased', class, 1)
            limit = limit - 1
            if tonumber(ticket.crashes) >= SUSPECT then suspects = suspects - 1 end
        end
        if suspect then
            aside[#aside + 1] = at
            aside[#aside + 1] = tenant
            if #aside >= 32 then limit = 0 end
        elseif inflight >= cap then
            put(CAPPED, tenant, true)
            out[#out + 1] = tenant
        elseif get(FIRST[class], tenant) then
            come_again(tenant, math.max(vtimes[class], at + (ticket and 1 or 0)))
        end
    end

    if at_window > 1 then redis.call('ZREMRANGEBYRANK', ring, 0, at_window - 2) end
    stock[class] = left + #aside / 2
    for i = at_again, #again do
        aside[#aside + 1] = again[i].at
        aside[#aside + 1] = again[i].tenant
    end
    if #aside > 0 then redis.call('ZADD', ring, unpack(aside)) end
    if #out > 0 then
        local other = class == 'fresh' and 'backfill' or 'fresh'
        redis.call('ZREM', RING[other], unpack(out))
        stock[other] = nil
    end
end

if most > 0 then
    admit()
    if not get(PAUSED, 'fleet') then
        if not get(PAUSED, 'fresh') then take('fresh', most) end
        if not get(PAUSED, 'backfill') then take('backfill', math.min(most - taken, most_backfill)) end
    end
    local fence = string.format('%.0f', base + taken)
    if fence ~= kept[2] then
        strings[#strings + 1] = FENCE
        strings[#strings + 1] = fence
    end
end
if taken > 0 then redis.call('ZADD', LEASES, unpack(deadlines)) end
if taken > 0 or pass then awake.fresh, awake.backfill = true, true end
save()
return {string.format('%.0f', wait), swept, settled, claimed, refused}
