-- push(prefix, ticket...): makes tickets ready. One live ticket per connection and stream:
-- a ticket that is ready or parked already stays as it is; one that is being worked on runs once more
-- after its slice, since what it was pushed for may have come too late for that slice.
-- Returns how many became ready.
local p = KEYS[1]
local pushed = 0
for _, ticket in ipairs(ARGV) do
    local state = redis.call('HGET', p .. ':tickets', ticket)
    if not state then
        local class, tenant = string.match(ticket, '^%d+/([^/]+)/([^/]+)/')
        redis.call('HSET', p .. ':tickets', ticket, 'ready')
        redis.call('RPUSH', p .. ':ready:' .. class .. ':' .. tenant, ticket)
        -- A tenant that comes (back) starts at the current virtual time: it banks no credit.
        redis.call('ZADD', p .. ':ring:' .. class, 'NX', redis.call('GET', p .. ':vtime:' .. class) or '0', tenant)
        pushed = pushed + 1
    elseif string.sub(state, 1, 6) == 'leased' and string.sub(state, -6) ~= ':again' then
        redis.call('HSET', p .. ':tickets', ticket, state .. ':again')
    end
end
if pushed > 0 and redis.call('LLEN', p .. ':wake') < 64 then
    redis.call('LPUSH', p .. ':wake', '1')
end
return pushed
