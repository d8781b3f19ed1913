-- push(prefix, ticket...): makes tickets ready. A ticket that is ready or parked stays as it is, so that there is one
-- live ticket per connection and stream. A leased ticket gets the mark `again` and runs once more after its slice,
-- because the cause of the push may have come too late for that slice. Returns how many became ready.
local tenants = {fresh = {}, backfill = {}}
for _, ticket in ipairs(ARGV) do
    local class, tenant = read(ticket)
    if class then tenants[class][#tenants[class] + 1] = tenant end
end
for class, those in pairs(tenants) do
    fetch(FIRST[class], those)
    fetch(PAUSED, those)
    fetch(CAPPED, those)
end
fetch(TICKETS, ARGV)
local parked = redis.call('ZMSCORE', PARKED, unpack(ARGV))

local pushed, expired = 0, {}
for i, ticket in ipairs(ARGV) do
    local class, tenant = read(ticket)
    local state = get(TICKETS, ticket)
    if class and not state and not parked[i] then
        ready(ticket, class, tenant, false, NOW, 0, VNEW[class])
        pushed = pushed + 1
    elseif class and state == 'ready' then
        -- A tenant that another client removed from the ring comes back with the next push.
        if get(FIRST[class], tenant) then
            reenter(class, tenant, VNOW[class])
        else
            count('ready', class, -1)
            ready(ticket, class, tenant, false, NOW, 0, VNOW[class])
            -- The tenant may have further tickets without a first one.
            put(FIRST[class], tenant, '+' .. sub(get(FIRST[class], tenant), 2))
        end
    elseif class and state then
        local fence, again, rest = match(state, '^(%d+),([01])(,.*)$')
        if again == '0' then put(TICKETS, ticket, fence .. ',1' .. rest) end
        expired[#expired + 1] = NOW
        expired[#expired + 1] = ticket
    end
end
-- A leased ticket without a deadline gets one now, so that it is reaped. NX keeps the deadlines of the others.
if #expired > 0 then redis.call('ZADD', LEASES, 'NX', unpack(expired)) end
save()
return pushed
