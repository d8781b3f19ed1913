-- settle(prefix, ticket, fence, verdict, wait_ms): ends a lease. Verdicts: 'done', 'more' (back to the
-- end of its tenant's turn), 'wait' (parked), 'back' (not begun: to the front, as if never taken).
-- Returns 0 when the lease was no longer ours: the ticket was given to someone else and stays theirs.
local p = KEYS[1]
local ticket, fence, verdict = ARGV[1], ARGV[2], ARGV[3]
local state = redis.call('HGET', p .. ':tickets', ticket)
local held = 'leased:' .. fence
if state ~= held and state ~= held .. ':again' then return 0 end
redis.call('ZREM', p .. ':leases', ticket)

local class, tenant = string.match(ticket, '^%d+/([^/]+)/([^/]+)/')
if verdict == 'wait' then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('HSET', p .. ':tickets', ticket, 'parked')
    redis.call('ZADD', p .. ':parked', now + tonumber(ARGV[4]), ticket)
    return 1
end
if verdict == 'done' and state == held then
    redis.call('HDEL', p .. ':tickets', ticket)
    return 1
end
redis.call('HSET', p .. ':tickets', ticket, 'ready')
redis.call(verdict == 'back' and 'LPUSH' or 'RPUSH', p .. ':ready:' .. class .. ':' .. tenant, ticket)
-- One slice is one turn: a tenant that was alone in the ring goes behind those that came meanwhile.
local vtime = tonumber(redis.call('GET', p .. ':vtime:' .. class) or '0')
redis.call('ZADD', p .. ':ring:' .. class, 'NX', verdict == 'back' and vtime or vtime + 1, tenant)
if redis.call('LLEN', p .. ':wake') < 64 then
    redis.call('LPUSH', p .. ':wake', '1')
end
return 1
