-- push(prefix, ticket...): makes tickets ready. One live ticket per connection and stream:
-- a ticket that is ready or parked already stays as it is; one that is being worked on runs once more
-- after its slice, since what it was pushed for may have come too late for that slice.
-- Returns how many became ready.
local pushed = 0
for _, ticket in ipairs(ARGV) do
    local class, tenant = read(ticket)
    local state = redis.call('HGET', TICKETS, ticket)
    if class and not state and not redis.call('ZSCORE', PARKED, ticket) then
        -- A tenant that comes (back) starts at the current virtual time: it banks no credit.
        ready(ticket, class, tenant, 'RPUSH', now, 0, vtime(class))
        pushed = pushed + 1
    elseif class and state == 'ready' then
        -- What another hand took from the index comes back with the next push.
        if redis.call('EXISTS', READY[class] .. tenant) == 0 then
            count('ready', class, -1)
            ready(ticket, class, tenant, 'RPUSH', now, 0, vtime(class))
        else
            reenter(class, tenant, vtime(class))
        end
    elseif class and state then
        local fence, again, rest = string.match(state, '^(%d+),([01])(,.*)$')
        if again == '0' then redis.call('HSET', TICKETS, ticket, fence .. ',1' .. rest) end
        redis.call('ZADD', LEASES, 'NX', now, ticket)
    end
end
save()
return pushed
