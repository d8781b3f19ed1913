-- claim(prefix, most, most_backfill, lease_ms): leases up to `most` tickets, one per tenant and turn:
-- the tenant with the least virtual time first, fresh before backfill. Times are Redis's own.
-- Returns {milliseconds until the next parked ticket or -1, ticket, fence, ticket, fence, ...}.
local p = KEYS[1]
local most, most_backfill, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function ready(ticket)
    local class, tenant = string.match(ticket, '^%d+/([^/]+)/([^/]+)/')
    redis.call('HSET', p .. ':tickets', ticket, 'ready')
    redis.call('RPUSH', p .. ':ready:' .. class .. ':' .. tenant, ticket)
    redis.call('ZADD', p .. ':ring:' .. class, 'NX', redis.call('GET', p .. ':vtime:' .. class) or '0', tenant)
end

-- Bounded: a herd that becomes due at once is taken over in several calls.
for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', p .. ':parked', '-inf', now, 'LIMIT', 0, 256)) do
    redis.call('ZREM', p .. ':parked', ticket)
    ready(ticket)
end

local claimed = {}
local function take(class, limit)
    local ring, vtime = p .. ':ring:' .. class, p .. ':vtime:' .. class
    while limit > 0 and #claimed < 2 * most do
        local first = redis.call('ZRANGE', ring, 0, 0, 'WITHSCORES')
        if not first[1] then return end
        local tenant, at = first[1], tonumber(first[2])
        local list = p .. ':ready:' .. class .. ':' .. tenant
        local ticket = redis.call('LPOP', list)
        if ticket then
            -- Fences only grow, also over the loss of all keys: the first one is the time in microseconds.
            redis.call('SET', p .. ':fence', time[1] .. string.format('%06d', time[2]), 'NX')
            -- Sixteen digits: Lua's own conversion to text would round them.
            local fence = string.format('%.0f', redis.call('INCR', p .. ':fence'))
            redis.call('HSET', p .. ':tickets', ticket, 'leased:' .. fence)
            redis.call('ZADD', p .. ':leases', now + lease, ticket)
            redis.call('SET', vtime, at)
            claimed[#claimed + 1] = ticket
            claimed[#claimed + 1] = fence
            limit = limit - 1
        end
        if redis.call('LLEN', list) > 0 then
            redis.call('ZADD', ring, at + 1, tenant)
        else
            redis.call('ZREM', ring, tenant)
        end
    end
end
take('fresh', most)
take('backfill', most_backfill)

local parked = redis.call('ZRANGE', p .. ':parked', 0, 0, 'WITHSCORES')
local wait = -1
if parked[2] then wait = math.max(0, tonumber(parked[2]) - now) end
table.insert(claimed, 1, tostring(wait))
return claimed
