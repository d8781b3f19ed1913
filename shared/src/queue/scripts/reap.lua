-- Reaps expired leases: each ticket goes to the front, and its crash is counted. Returns how many.
local function reap()
    local reaped = 0
    local dead = now < grace and {} or redis.call('ZRANGEBYSCORE', LEASES, '-inf', NOW, 'LIMIT', 0, BATCH)
    if #dead == 0 then return 0 end
    local classes, tenants, served = look_up(dead)
    fetch(INFLIGHT, served)
    for i, ticket in ipairs(dead) do
        local class, tenant = classes[i], tenants[i]
        local fence, _, _, since, crashes = lease_of(ticket)
        if class and fence then
            local uncapped = release(ticket, class, tenant)
            ready(ticket, class, tenant, true, since, crashes + 1, VNOW[class])
            if uncapped then uncap(tenant) end
            reaped = reaped + 1
        else
            ended[#ended + 1] = ticket
            -- An unknown state is dropped, and the next push makes the ticket anew.
            if get(TICKETS, ticket) ~= 'ready' then put(TICKETS, ticket, false) end
        end
    end
    end_leases()
    return reaped
end
