-- sweep(prefix): takes back what a dead worker held, to the front of its tenant's turn.
-- Any worker runs it. Bounded; returns how many came back.
local p = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expired = redis.call('ZRANGEBYSCORE', p .. ':leases', '-inf', now, 'LIMIT', 0, 256)
for _, ticket in ipairs(expired) do
    redis.call('ZREM', p .. ':leases', ticket)
    local class, tenant = string.match(ticket, '^%d+/([^/]+)/([^/]+)/')
    redis.call('HSET', p .. ':tickets', ticket, 'ready')
    redis.call('LPUSH', p .. ':ready:' .. class .. ':' .. tenant, ticket)
    redis.call('ZADD', p .. ':ring:' .. class, 'NX', redis.call('GET', p .. ':vtime:' .. class) or '0', tenant)
end
if #expired > 0 and redis.call('LLEN', p .. ':wake') < 64 then
    redis.call('LPUSH', p .. ':wake', '1')
end
return #expired
