-- Promotes parked tickets whose time has come. Returns the milliseconds until the next one, or -1.
local function first_parked()
    return redis.call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')
end
local function promote()
    local parked = first_parked()
    if parked[2] and tonumber(parked[2]) <= now then
        local due = redis.call('ZRANGEBYSCORE', PARKED, '-inf', NOW, 'LIMIT', 0, BATCH)
        redis.call('ZREMRANGEBYRANK', PARKED, 0, #due - 1)
        local classes, tenants = look_up(due)
        for i, ticket in ipairs(due) do
            local class, tenant = classes[i], tenants[i]
            if class then
                count('parked', class, -1)
                if not get(TICKETS, ticket) then ready(ticket, class, tenant, false, NOW, 0, VNEW[class]) end
            else
                refused[#refused + 1] = tenant
            end
        end
        parked = first_parked()
    end
    return parked[2] and math.max(0, tonumber(parked[2]) - now) or -1
end
