-- How a ticket becomes ready, and how its tenant enters the ring.
local deltas, awake = {}, {}
for _, state in ipairs({'ready', 'leased', 'parked'}) do deltas[state] = {fresh = 0, backfill = 0} end
local function count(state, class, by)
    local by_class = deltas[state]
    by_class[class] = by_class[class] + by
end

-- Adds a tenant to the ring, unless it is in it or may not be served. `at` is text.
local entering = {fresh = {}, backfill = {}}
local function enter(class, tenant, at)
    if anybody ~= false and (get(PAUSED, tenant) or get(CAPPED, tenant)) then return end
    local those = entering[class]
    those[#those + 1] = at
    those[#those + 1] = tenant
    awake[class] = true
end
-- The same for a tenant that was kept out, if it has a ready ticket.
local function reenter(class, tenant, at)
    if get(FIRST[class], tenant) then enter(class, tenant, at) end
end
-- Writes the new members of the rings, so that a claim of this call sees them.
local function admit()
    for class, those in pairs(entering) do
        if #those > 0 then
            redis.call('ZADD', RING[class], 'NX', unpack(those))
            entering[class] = {}
        end
    end
end

-- Makes a ticket ready, at the front of its tenant's turn or at the end. `since` and `at` are text.
local function ready(ticket, class, tenant, front, since, crashes, at)
    put(TICKETS, ticket, 'ready')
    local firsts = FIRST[class]
    local first = get(firsts, tenant)
    if not first then
        put(firsts, tenant, '-' .. since .. ',' .. crashes .. ',' .. ticket)
    elseif front then
        redis.call('LPUSH', REST[class] .. tenant, sub(first, 2))
        put(firsts, tenant, '+' .. since .. ',' .. crashes .. ',' .. ticket)
    else
        redis.call('RPUSH', REST[class] .. tenant, since .. ',' .. crashes .. ',' .. ticket)
        if sub(first, 1, 1) ~= '+' then put(firsts, tenant, '+' .. sub(first, 2)) end
    end
    enter(class, tenant, at)
    count('ready', class, 1)
end

-- Wakes one idle worker for each class with a ready ticket. A worker that claims a ticket wakes the next one.
-- `stock` has the known sizes of rings.
local stock = {}
local function wake()
    for class in pairs(awake) do
        if not get(PAUSED, 'fleet') and not get(PAUSED, class)
            and (stock[class] or redis.call('EXISTS', RING[class])) > 0
            and redis.call('LLEN', p .. ':wake:' .. class) == 0 then
            redis.call('LPUSH', p .. ':wake:' .. class, '1')
        end
    end
end
-- Writes the caches. The fence is written before the tickets' states, so that no state has a fence that
-- Redis has forgotten.
local function save()
    for class, key in pairs(VTIME) do
        local at = string.format('%d', vtimes[class])
        if at ~= VNOW[class] then
            strings[#strings + 1] = key
            strings[#strings + 1] = at
        end
    end
    redis.call('MSET', unpack(strings))
    for _, from in ipairs(caches) do write(from) end
    for state, by_class in pairs(deltas) do
        for class, by in pairs(by_class) do
            if by ~= 0 then redis.call('HINCRBY', p .. ':counts', state .. ':' .. class, by) end
        end
    end
    admit()
    wake()
end
