-- A ticket whose last two leases expired is leased to a worker that has no other such ticket. If it kills its worker
-- again, no other ticket is then counted as crashed that was beside it before.
local SUSPECT = 2

-- The next ticket behind the first one of a turn, or false.
local function next_of(class, tenant)
    local entry = redis.call('LPOP', REST[class] .. tenant)
    return entry and '+' .. entry
end

local function parse(first)
    return match(first, '^[+-](%d+),(%d+),(.*)$')
end

-- Drops a first ticket that may not be leased. Returns why.
local function refuse(class, first, text)
    local its_class, reason = read(text or string.gsub(first, '^[+-]', ''))
    if its_class then return 'foreign' end
    if text and get(TICKETS, text) then
        put(TICKETS, text, false)
        count('ready', class, -1)
    end
    return reason
end

-- Takes the first ticket of a tenant's turn. Returns the ticket, since and crashes. Returns nil if it may not be
-- leased, and true as the second value if it is a suspect that must wait.
local function take_first(class, tenant, first, since, crashes, ticket)
    if not first then return nil end
    local its_class, its_tenant
    if ticket then its_class, its_tenant = read(ticket) end
    -- The worker reads its letters, because here that would take longer than all the rest.
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

-- Fences only grow, even if all keys are lost, because the first one is the time in microseconds.
local base = tonumber(kept[2] or 0) or 0
if base == 0 then base = time[1] * 1000000 + time[2] end

local claimed, deadlines, taken, deadline = {}, {}, 0, string.format('%d', now + lease_ms)
local function lease_to_caller(ticket, since, crashes, finish)
    taken = taken + 1
    put(TICKETS, ticket, string.format('%d,0,%d,%s,%s', base + taken, finish, since, crashes))
    deadlines[2 * taken - 1], deadlines[2 * taken] = deadline, ticket
    local at, waited = 4 * taken, now - since
    claimed[at - 3], claimed[at - 2], claimed[at - 1], claimed[at] = ticket, base + taken, crashes, waited > 0 and waited or 0
end

-- A claim from one ring: the tenant with the least virtual time first. The ring is read from its start, a window at
-- a time, and is changed only at the end. Until then `again` has the tenants that come back for another turn, in the
-- ring's order.
local function open_claim(class, most)
    local size = redis.call('ZCARD', RING[class])
    return {
        class = class, most = most, vtime = vtimes[class], size = size, left = size, probes = 2 * BATCH,
        seen = 0, here = 1, tenants = {}, ats = {}, since = {}, crashes = {}, tickets = {},
        again = {}, at_again = 1, back = {}, out = {}, aside = 0,
    }
end

-- Reads the next window of the ring and, in bulk, the fields of its tenants.
local function read_window(claim)
    local class, firsts, seen = claim.class, FIRST[claim.class], claim.seen
    local last_of_window = seen + math.min(claim.probes, math.max(claim.most, seen)) - 1
    local some = redis.call('ZRANGE', RING[class], seen, last_of_window, 'WITHSCORES')
    local tenants, those, named = claim.tenants, {}, {}
    for i = 1, #some, 2 do
        seen = seen + 1
        tenants[seen], claim.ats[seen] = some[i], tonumber(some[i + 1])
        those[#those + 1] = some[i]
    end
    claim.seen = seen
    fetch(firsts, those)
    fetch(INFLIGHT, those)
    for i = seen - #those + 1, seen do
        local first = get(firsts, tenants[i])
        if not first then
            -- A tenant in the ring always has a first ticket, unless another client removed it.
            first = next_of(class, tenants[i])
            put(firsts, tenants[i], first)
        end
        if first then claim.since[i], claim.crashes[i], claim.tickets[i] = parse(first) end
        if claim.tickets[i] then named[#named + 1] = claim.tickets[i] end
    end
    fetch(TICKETS, named)
end

-- The next tenant in the order of virtual time, from the ring or from `again`, and what take_first() says of it.
local function next_turn(claim)
    if claim.here > claim.seen and claim.seen < claim.size then read_window(claim) end
    local class, here, other = claim.class, claim.here, claim.again[claim.at_again]
    local tenant, at = claim.tenants[here], claim.ats[here]
    if other and (not tenant or other.at < at or other.at == at and other.tenant < tenant) then
        claim.at_again = claim.at_again + 1
        local first = get(FIRST[class], other.tenant)
        return other.tenant, other.at, take_first(class, other.tenant, first, parse(first))
    end
    claim.here = here + 1
    local first = get(FIRST[class], tenant)
    return tenant, at, take_first(class, tenant, first, claim.since[here], claim.crashes[here], claim.tickets[here])
end

-- Leases the ticket of a turn. Returns how many leases its tenant has now.
local function lease_turn(claim, tenant, at, ticket, since, crashes)
    local inflight = inflight_of(tenant) + 1
    put_inflight(tenant, inflight)
    -- Each turn advances the virtual time by its share, so that no newcomer stays in front for ever.
    local share, vtime = TURN / (claim.left + 1), claim.vtime
    local on = vtime + (share > 1 and share - share % 1 or 1)
    vtime = at > on and at or on
    claim.vtime = vtime
    lease_to_caller(ticket, since, crashes, at + TURN)
    claim.most = claim.most - 1
    if crashes ~= '0' and tonumber(crashes) >= SUSPECT then suspects = suspects - 1 end
    return inflight
end

-- Puts a tenant into `again`, which stays in the ring's order.
local function come_again(claim, tenant, at)
    local again = claim.again
    local i = #again
    while i >= claim.at_again and (again[i].at > at or again[i].at == at and again[i].tenant > tenant) do
        again[i + 1] = again[i]
        i = i - 1
    end
    again[i + 1] = {tenant = tenant, at = at}
    claim.left = claim.left + 1
end

-- Decides where a tenant goes after its turn: back to its place, out of the rings, or to another turn.
local function after_turn(claim, tenant, at, ticket, inflight, is_aside)
    local back, out = claim.back, claim.out
    if is_aside then
        back[#back + 1] = string.format('%d', at)
        back[#back + 1] = tenant
        claim.aside = claim.aside + 1
        -- Many suspects must not make the call long.
        if claim.aside >= 16 then claim.most = 0 end
    elseif inflight >= cap then
        put(CAPPED, tenant, true)
        out[#out + 1] = tenant
    elseif get(FIRST[claim.class], tenant) then
        come_again(claim, tenant, math.max(claim.vtime, ticket and at + TURN or at))
    end
end

-- Writes the ring as the claim has left it.
local function close_claim(claim)
    local class, left, aside = claim.class, claim.left, claim.aside
    local ring, back, out = RING[class], claim.back, claim.out
    vtimes[class] = claim.vtime
    if claim.here > 1 then redis.call('ZREMRANGEBYRANK', ring, 0, claim.here - 2) end
    stock[class] = left + aside
    for i = claim.at_again, #claim.again do
        back[#back + 1] = string.format('%d', claim.again[i].at)
        back[#back + 1] = claim.again[i].tenant
    end
    if #back > 0 then redis.call('ZADD', ring, unpack(back)) end
    if #out > 0 then
        local other = class == 'fresh' and 'backfill' or 'fresh'
        redis.call('ZREM', RING[other], unpack(out))
        stock[other] = nil
    end
end

local function claim_from(class, most)
    if most <= 0 or get(PAUSED, class) then return end
    local before, claim = taken, open_claim(class, most)
    while claim.most > 0 and claim.left > 0 and claim.probes > 0 do
        local tenant, at, ticket, since, crashes = next_turn(claim)
        claim.probes, claim.left = claim.probes - 1, claim.left - 1
        local inflight = ticket and lease_turn(claim, tenant, at, ticket, since, crashes) or 0
        after_turn(claim, tenant, at, ticket, inflight, since == true)
    end
    close_claim(claim)
    count('ready', class, before - taken)
    count('leased', class, taken - before)
end

local function keep_fence()
    local fence = string.format('%d', base + taken)
    if fence ~= kept[2] then
        strings[#strings + 1] = FENCE
        strings[#strings + 1] = fence
    end
end

local function claim_all()
    if limit <= 0 then return end
    admit()
    if not get(PAUSED, 'fleet') then
        claim_from('fresh', math.min(limit, fresh_limit))
        claim_from('backfill', math.min(limit - taken, backfill_limit))
    end
    keep_fence()
    if taken > 0 then redis.call('ZADD', LEASES, unpack(deadlines)) end
end
