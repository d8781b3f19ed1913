-- Put before every other script: the keys, the clock, and how a ticket becomes ready.
--
-- KEYS[1] is the prefix, a hash tag: every key below shares its slot. A ticket is in one of three states:
--   ready   `tickets` says 'ready', and `ready:<class>:<tenant>` (list) holds 'since,crashes,ticket'
--   leased  `tickets` says 'fence,again,finish,since,crashes', and `leases` (zset) holds its deadline
--   parked  `parked` (zset) holds its time, and nothing else knows it: what waits must be small
-- `ring:<class>` (zset) holds the tenants that may be served, by virtual time; `since:<class>` (zset) the same
-- tenants by how long their first ticket has been ready. A tenant that is in `paused` or `capped` (sets) is in
-- no ring, so nobody walks over it; `inflight` (hash) counts its leases. Nothing is kept of a tenant without tickets.
local p = KEYS[1]
local TICKETS, PARKED, LEASES, INFLIGHT = p .. ':tickets', p .. ':parked', p .. ':leases', p .. ':inflight'
local CLASSES = {'fresh', 'backfill'}
local RING, SINCE, READY = {}, {}, {}
for _, class in ipairs(CLASSES) do
    RING[class], SINCE[class] = p .. ':ring:' .. class, p .. ':since:' .. class
    READY[class] = p .. ':ready:' .. class .. ':'
end
local time = redis.call('TIME')

-- Milliseconds that never run backwards: when the server's clock is set back, its distance is added from then on.
local function read_clock()
    local raw = time[1] * 1000 + math.floor(time[2] / 1000)
    local last, ahead = string.match(redis.call('GET', p .. ':clock') or '', '^(%d+):(%d+)$')
    last, ahead = tonumber(last or 0), tonumber(ahead or 0)
    if raw + ahead < last then ahead = last - raw end
    redis.call('SET', p .. ':clock', string.format('%.0f:%.0f', raw + ahead, ahead))
    return raw + ahead
end
local now = read_clock()

-- Class and tenant of a ticket by its layout, or nil and why it is not one of ours: foreign hands may write to
-- Redis too. A claim looks at each letter.
local function read(ticket)
    local sub = string.sub
    if #ticket <= 160 then
        if sub(ticket, 1, 8) == '1/fresh/' and sub(ticket, 45, 45) == '/' and sub(ticket, 82, 82) == '/' then
            return 'fresh', sub(ticket, 9, 44)
        elseif sub(ticket, 1, 11) == '1/backfill/' and sub(ticket, 48, 48) == '/' and sub(ticket, 85, 85) == '/' then
            return 'backfill', sub(ticket, 12, 47)
        end
    else
        return nil, 'oversized'
    end
    local version = string.match(ticket, '^(%d+)/')
    return nil, version and version ~= '1' and 'version' or 'garbled'
end

-- Counters and virtual times are written once per call, by save().
local deltas, vtimes, moved, awake = {}, {}, {}, {}
local function count(state, class, by)
    local field = state .. ':' .. class
    deltas[field] = (deltas[field] or 0) + by
end
local function vtime(class)
    if not vtimes[class] then vtimes[class] = tonumber(redis.call('GET', p .. ':vtime:' .. class) or '0') end
    return vtimes[class]
end

-- Most of the time nobody is paused or capped: asked once per call.
local exists = {}
local function some(set)
    if exists[set] == nil then exists[set] = redis.call('EXISTS', p .. ':' .. set) == 1 end
    return exists[set]
end
local function is(set, member)
    return some(set) and redis.call('SISMEMBER', p .. ':' .. set, member) == 1
end

-- Lets a tenant into the ring, unless it is there or may not be served.
local function enter(class, tenant, at, since)
    if is('paused', tenant) or is('capped', tenant) then return end
    if redis.call('ZADD', RING[class], 'NX', at, tenant) == 1 then
        redis.call('ZADD', SINCE[class], since, tenant)
    else
        redis.call('ZADD', SINCE[class], 'LT', since, tenant)
    end
    awake[class] = true
end
-- The same for a tenant that was kept out, if it has anything ready.
local function reenter(class, tenant, at)
    local head = redis.call('LINDEX', READY[class] .. tenant, 0)
    if head then enter(class, tenant, at, string.match(head, '^(%d+),') or now) end
end
local function leave(class, tenant)
    redis.call('ZREM', RING[class], tenant)
    redis.call('ZREM', SINCE[class], tenant)
end

-- Makes a ticket ready. `side` is 'RPUSH' (the end of its tenant's turn) or 'LPUSH' (the front).
local function ready(ticket, class, tenant, side, since, crashes, at)
    redis.call('HSET', TICKETS, ticket, 'ready')
    since = string.format('%.0f', since)
    redis.call(side, READY[class] .. tenant, since .. ',' .. crashes .. ',' .. ticket)
    enter(class, tenant, at, since)
    count('ready', class, 1)
end

-- Wakes one idle worker per class with something to take; whoever takes it wakes the next one.
local function wake()
    if is('paused', 'fleet') then return end
    for class in pairs(awake) do
        if not is('paused', class) and redis.call('EXISTS', RING[class]) == 1
            and redis.call('LLEN', p .. ':wake:' .. class) == 0 then
            redis.call('LPUSH', p .. ':wake:' .. class, '1')
        end
    end
end
local function save()
    for class in pairs(moved) do redis.call('SET', p .. ':vtime:' .. class, string.format('%.17g', vtimes[class])) end
    for field, by in pairs(deltas) do
        if by ~= 0 then redis.call('HINCRBY', p .. ':counts', field, by) end
    end
    wake()
end

