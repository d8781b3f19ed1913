-- look(prefix): how deep the queue is and how old, in a constant number of steps. Times are milliseconds from now,
-- -1 where there is none. Returns {{live, tenants in the fresh ring, in the backfill ring, parked, leased},
-- {oldest ready fresh, oldest ready backfill, next parked, next lease to run out},
-- {fresh ready, leased, parked, backfill ready, leased, parked}}.
local function score(key)
    return redis.call('ZRANGE', p .. ':' .. key, 0, 0, 'WITHSCORES')[2]
end
local function age(class)
    local since = score('since:' .. class)
    return since and math.max(0, now - since) or -1
end
local function left(key)
    local at = score(key)
    return at and math.max(0, at - now) or -1
end
local function size(key)
    return redis.call('ZCARD', p .. ':' .. key)
end
local counts = {}
for i, field in ipairs({'ready:fresh', 'leased:fresh', 'parked:fresh', 'ready:backfill', 'leased:backfill', 'parked:backfill'}) do
    counts[i] = math.max(0, tonumber(redis.call('HGET', p .. ':counts', field) or '0'))
end
return {
    {redis.call('HLEN', TICKETS) + size('parked'), size('ring:fresh'), size('ring:backfill'), size('parked'), size('leases')},
    {age('fresh'), age('backfill'), left('parked'), left('leases')},
    counts,
}
