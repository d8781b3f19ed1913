-- stats(prefix): the depth and the age of the queue, in a constant number of steps. Times are milliseconds from now,
-- or -1 for none. Returns {{live, tenants in the fresh ring, in the backfill ring, parked, leased},
-- {oldest ready fresh, oldest ready backfill, next parked, next lease to run out},
-- {fresh ready, leased, parked, backfill ready, leased, parked}}.
--
-- The oldest ready ticket is the oldest of the first tickets of the 64 tenants at the front of the ring. A tenant
-- further back, which had more turns, may have an older one.
local NEXT = 64
local function age(class)
    local tenants = redis.call('ZRANGE', RING[class], 0, NEXT - 1)
    fetch(FIRST[class], tenants)
    local oldest = -1
    for _, tenant in ipairs(tenants) do
        local since = match(get(FIRST[class], tenant) or '', '^[+-](%d+),')
        if since then oldest = math.max(oldest, now - since, 0) end
    end
    return oldest
end
local function left(key)
    local at = redis.call('ZRANGE', p .. ':' .. key, 0, 0, 'WITHSCORES')[2]
    return at and math.max(0, at - now) or -1
end
local function size(key)
    return redis.call('ZCARD', p .. ':' .. key)
end
local counts = redis.call('HMGET', p .. ':counts',
    'ready:fresh', 'leased:fresh', 'parked:fresh', 'ready:backfill', 'leased:backfill', 'parked:backfill')
for i = 1, 6 do counts[i] = math.max(0, tonumber(counts[i] or 0) or 0) end
local parked = size('parked')
local stats = {
    {redis.call('HLEN', TICKETS.key) + parked, size('ring:fresh'), size('ring:backfill'), parked, size('leases')},
    {age('fresh'), age('backfill'), left('parked'), left('leases')},
    counts,
}
save()
return stats
