-- poll(prefix, lease_ms, cap, most, most_backfill, suspects, pass, {ticket, fence, verdict, wait_ms}...):
-- the one call of a working worker. Settles leases, takes back dead workers' ones, readies what was parked until
-- now, and leases up to `most` tickets, one per tenant and turn. Each step is bounded, whatever is due.
-- Returns {milliseconds until the next parked ticket or -1, reaped, {1 or 0 per settled lease},
-- {ticket, fence, crashes, milliseconds ready, ...}, {why a ticket was refused, ...}}.
local BITE = 64
-- A ticket whose worker died twice is leased to a worker that has no other such one: should it kill again,
-- nobody is counted dead beside it who was beside it before.
local SUSPECT = 2
local lease, cap, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most_backfill, suspects, pass = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'

-- Reads in bulk what a step will ask about these tickets. Returns their classes, and tenants or why not.
local function look_up(tickets, verdicts)
    local classes, tenants, served, by_class = {}, {}, {}, {fresh = {}, backfill = {}}
    for i = 1, #tickets do
        local class, tenant = read(tickets[i])
        classes[i], tenants[i] = class or false, tenant
        -- What is done or has to wait takes no place in a turn.
        local verdict = verdicts and verdicts[i]
        if class then
            served[#served + 1] = tenant
            if verdict ~= 'done' and verdict ~= 'snooze' then by_class[class][#by_class[class] + 1] = tenant end
        end
    end
    fetch(TICKETS, tickets)
    fetch(PAUSED, served)
    fetch(CAPPED, served)
    fetch(FIRST.fresh, by_class.fresh)
    fetch(FIRST.backfill, by_class.backfill)
    return classes, tenants, served
end

local function held(ticket)
    return match(get(TICKETS, ticket) or '', '^(%d+),([01]),(%d+),(%d+),(%d+)$')
end

-- Ends a lease in the books. Returns whether its tenant was at its cap, and is not any more.
local ended = {}
local function release(ticket, class, tenant)
    ended[#ended + 1] = ticket
    count('leased', class, -1)
    local inflight = inflight_of(tenant) - 1
    put_inflight(tenant, inflight)
    if anybody == false or inflight >= cap or not get(CAPPED, tenant) then return false end
    put(CAPPED, tenant, false)
    return true
end
local function uncap(tenant)
    for _, class in ipairs(CLASSES) do reenter(class, tenant, VNOW[class]) end
end
local function end_leases()
    if #ended > 0 then redis.call('ZREM', LEASES, unpack(ended)) end
    ended = {}
end

-- 0 when the lease was no longer this one's: the ticket was given to someone else and stays theirs.
local parking = {}
local function settle(ticket, class, tenant, by, verdict, wait)
    local fence, again, finish, since, crashes = held(ticket)
    if not class or fence ~= by then return 0 end
    local uncapped = release(ticket, class, tenant)
    if verdict == 'release' then
        -- Not begun: to the front, as if never taken.
        ready(ticket, class, tenant, true, since, crashes, VNOW[class])
    elseif verdict == 'snooze' then
        put(TICKETS, ticket, false)
        parking[#parking + 1] = string.format('%d', now + wait)
        parking[#parking + 1] = ticket
        count('parked', class, 1)
    elseif verdict == 'requeue' or again == '1' then
        -- One slice is one turn: it comes after those who waited while it was worked on.
        ready(ticket, class, tenant, false, NOW, 0, tonumber(finish) > vtimes[class] and finish or VNOW[class])
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
    local classes, tenants, served = look_up(tickets, verdicts)
    fetch(INFLIGHT, served)
    for i = 1, #tickets do
        local at = 4 * i + 3
        settled[i] = settle(tickets[i], classes[i], tenants[i], ARGV[at + 1], verdicts[i], ARGV[at + 3])
    end
    end_leases()
    if #parking > 0 then redis.call('ZADD', PARKED, unpack(parking)) end
end

-- Reap: a ticket whose lease expired goes to the front, and its crash is counted.
local reaped = 0
local dead = now < grace and {} or redis.call('ZRANGEBYSCORE', LEASES, '-inf', NOW, 'LIMIT', 0, BITE)
if #dead > 0 then
    local classes, tenants, served = look_up(dead)
    fetch(INFLIGHT, served)
    for i, ticket in ipairs(dead) do
        local class, tenant = classes[i], tenants[i]
        local fence, _, _, since, crashes = held(ticket)
        if class and fence then
            local uncapped = release(ticket, class, tenant)
            ready(ticket, class, tenant, true, since, crashes + 1, VNOW[class])
            if uncapped then uncap(tenant) end
            reaped = reaped + 1
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
    local due = redis.call('ZRANGEBYSCORE', PARKED, '-inf', NOW, 'LIMIT', 0, BITE)
    redis.call('ZREMRANGEBYRANK', PARKED, 0, #due - 1)
    local classes, tenants = look_up(due)
    for i, ticket in ipairs(due) do
        local class, tenant = classes[i], tenants[i]
        if class then
            count('parked', class, -1)
            if not get(TICKETS, ticket) then ready(ticket, class, tenant, false, NOW, 0, VNEW[class]) end
        else
            refused[#refused + 1] = tenant
        end
    end
    parked = redis.call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')
end
local wait = parked[2] and math.max(0, tonumber(parked[2]) - now) or -1

-- The next one of those behind a first one, or false.
local function next_of(class, tenant)
    local entry = redis.call('LPOP', REST[class] .. tenant)
    return entry and '+' .. entry
end

local function parse(first)
    return match(first, '^[+-](%d+),(%d+),(.*)$')
end

-- A first one that may not be leased. Returns why.
local function refuse(class, first, text)
    local its_class, reason = read(text or string.gsub(first, '^[+-]', ''))
    if its_class then return 'foreign' end
    if text and get(TICKETS, text) then
        put(TICKETS, text, false)
        count('ready', class, -1)
    end
    return reason
end

-- Takes the first ticket of a tenant's turn, in three parts; nil when it is not one that may be leased, and then
-- whether it is one whose workers died.
local function take_first(class, tenant, first, since, crashes, ticket)
    if not first then return nil end
    local its_class, its_tenant
    if ticket then its_class, its_tenant = read(ticket) end
    -- Its letters are the worker's to read: here they would take longer than all the rest.
    local good = its_class == class and its_tenant == tenant and get(TICKETS, ticket) == 'ready'
    if good and crashes ~= '0' and tonumber(crashes) >= SUSPECT and suspects == 0 then
        put(FIRST[class], tenant, first)
        return nil, true
    end
    put(FIRST[class], tenant, sub(first, 1, 1) ~= '-' and next_of(class, tenant))
    if good then return ticket, since, crashes end
    refused[#refused + 1] = refuse(class, first, ticket)
    return nil
end

-- Fences only grow, also over the loss of all keys: the first one is the time in microseconds.
local base = tonumber(kept[2] or 0) or 0
if base == 0 then base = time[1] * 1000000 + time[2] end

-- Claim: the tenant with the least virtual time first. The ring is read from its start, a window at a time, and
-- changed at the end: until then those who come back for another turn are in `again`, in the ring's order.
local claimed, deadlines, taken, deadline = {}, {}, 0, string.format('%d', now + lease)
local function lease_to_caller(ticket, since, crashes, finish)
    taken = taken + 1
    put(TICKETS, ticket, string.format('%d,0,%d,%s,%s', base + taken, finish, since, crashes))
    deadlines[2 * taken - 1], deadlines[2 * taken] = deadline, ticket
    local at, waited = 4 * taken, now - since
    claimed[at - 3], claimed[at - 2], claimed[at - 1], claimed[at] = ticket, base + taken, crashes, waited > 0 and waited or 0
end
local function take(class, limit)
    if limit <= 0 then return end
    local ring, firsts = RING[class], FIRST[class]
    local left, vtime = redis.call('ZCARD', ring), vtimes[class]
    local size, seen, probes, here = left, 0, 2 * BITE, 1
    local tenants, ats, since, crashes, tickets = {}, {}, {}, {}, {}
    local again, at_again, back, out, aside = {}, 1, {}, {}, 0

    local function read_on()
        local some = redis.call('ZRANGE', ring, seen, seen + math.min(probes, math.max(limit, seen)) - 1, 'WITHSCORES')
        local those, named = {}, {}
        for i = 1, #some, 2 do
            seen = seen + 1
            tenants[seen], ats[seen] = some[i], tonumber(some[i + 1])
            those[#those + 1] = some[i]
        end
        fetch(firsts, those)
        fetch(INFLIGHT, those)
        for i = seen - #those + 1, seen do
            -- One in the ring always has a first one, unless another hand took it.
            local first = get(firsts, tenants[i])
            if not first then
                first = next_of(class, tenants[i])
                put(firsts, tenants[i], first)
            end
            if first then since[i], crashes[i], tickets[i] = parse(first) end
            if tickets[i] then named[#named + 1] = tickets[i] end
        end
        fetch(TICKETS, named)
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
        if here > seen and seen < size then read_on() end
        local tenant, at, other, ticket, ready_since, deaths = tenants[here], ats[here], again[at_again], nil, nil, nil
        if other and (not tenant or other.at < at or other.at == at and other.tenant < tenant) then
            at_again = at_again + 1
            tenant, at = other.tenant, other.at
            local first = get(firsts, tenant)
            ticket, ready_since, deaths = take_first(class, tenant, first, parse(first))
        else
            ticket, ready_since, deaths =
                take_first(class, tenant, get(firsts, tenant), since[here], crashes[here], tickets[here])
            here = here + 1
        end
        probes, left = probes - 1, left - 1
        local inflight = 0
        if ticket then
            inflight = inflight_of(tenant) + 1
            put_inflight(tenant, inflight)
            -- Time goes on by one turn's share with each turn, so that nobody who comes later can come before
            -- everybody for ever.
            local share = TURN / (left + 1)
            local on = vtime + (share > 1 and share - share % 1 or 1)
            vtime = at > on and at or on
            lease_to_caller(ticket, ready_since, deaths, at + TURN)
            limit = limit - 1
            if deaths ~= '0' and tonumber(deaths) >= SUSPECT then suspects = suspects - 1 end
        end
        if ready_since == true then
            -- Put aside: it stays where it is in the ring.
            back[#back + 1] = string.format('%d', at)
            back[#back + 1] = tenant
            aside = aside + 1
            if aside >= 16 then limit = 0 end
        elseif inflight >= cap then
            put(CAPPED, tenant, true)
            out[#out + 1] = tenant
        elseif get(firsts, tenant) then
            come_again(tenant, math.max(vtime, ticket and at + TURN or at))
        end
    end

    vtimes[class] = vtime
    if here > 1 then redis.call('ZREMRANGEBYRANK', ring, 0, here - 2) end
    stock[class] = left + aside
    for i = at_again, #again do
        back[#back + 1] = string.format('%d', again[i].at)
        back[#back + 1] = again[i].tenant
    end
    if #back > 0 then redis.call('ZADD', ring, unpack(back)) end
    if #out > 0 then
        local other = class == 'fresh' and 'backfill' or 'fresh'
        redis.call('ZREM', RING[other], unpack(out))
        stock[other] = nil
    end
end

if most > 0 then
    admit()
    if not get(PAUSED, 'fleet') then
        for _, class in ipairs(CLASSES) do
            local before = taken
            if not get(PAUSED, class) then
                take(class, class == 'fresh' and most or math.min(most - taken, most_backfill))
            end
            count('ready', class, before - taken)
            count('leased', class, taken - before)
        end
    end
    local fence = string.format('%d', base + taken)
    if fence ~= kept[2] then
        strings[#strings + 1] = FENCE
        strings[#strings + 1] = fence
    end
end
if taken > 0 then redis.call('ZADD', LEASES, unpack(deadlines)) end
if taken > 0 or pass then awake.fresh, awake.backfill = true, true end
save()
return {wait, reaped, settled, claimed, refused}
