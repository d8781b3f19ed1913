-- jobs(prefix, 'leased', 'parked' or 'ready', offset, limit), or jobs(prefix, 'named', ticket...): tickets as operators list
-- them, by a number of steps that depends on the limit only. It changes nothing. Each is {ticket, state, milliseconds since
-- it is ready, milliseconds until its lease ends or it becomes ready, fence, crashes, tickets of the tenant behind it}, with
-- -1 for what is not known.
--
-- A list of ready tickets has the next one of each tenant, fresh ones first, in the order in which they are served. A tenant
-- that is paused or at its cap is in no ring, so it is not in the list.
local found = {}
local function since(at)
    return at and math.max(0, now - at) or -1
end
local function add_leased(ticket, ends)
    local fence, _, _, at, crashes = match(get(TICKETS, ticket) or '', '^(%d+),([01]),(%d+),(%d+),(%d+)$')
    if fence then
        found[#found + 1] = {ticket, 'leased', since(tonumber(at)), math.max(0, ends - now), tonumber(fence), tonumber(crashes), -1}
    end
end
local function add_parked(ticket, at)
    found[#found + 1] = {ticket, 'parked', -1, math.max(0, at - now), -1, -1, -1}
end
local function add_ready(class, tenant, named)
    local at, crashes, ticket = match(get(FIRST[class], tenant) or '', '^[+-](%d+),(%d+),(.*)$')
    if ticket and (not named or named == ticket) then
        local behind = redis.call('LLEN', REST[class] .. tenant)
        found[#found + 1] = {ticket, 'ready', since(tonumber(at)), -1, -1, tonumber(crashes), behind}
    elseif named then
        found[#found + 1] = {named, 'ready', -1, -1, -1, -1, -1}
    end
end

local kind = ARGV[1]
if kind == 'named' then
    for i = 2, #ARGV do
        local ticket = ARGV[i]
        local class, tenant = read(ticket)
        local state = class and get(TICKETS, ticket)
        if state == 'ready' then
            add_ready(class, tenant, ticket)
        elseif state then
            add_leased(ticket, tonumber(redis.call('ZSCORE', LEASES, ticket) or NOW))
        elseif class then
            local at = redis.call('ZSCORE', PARKED, ticket)
            if at then add_parked(ticket, tonumber(at)) end
        end
    end
    return found
end
local offset, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
if kind == 'ready' then
    for _, class in ipairs(CLASSES) do
        local size = redis.call('ZCARD', RING[class])
        if limit > 0 and offset < size then
            local tenants = redis.call('ZRANGE', RING[class], offset, offset + limit - 1)
            for _, tenant in ipairs(tenants) do add_ready(class, tenant) end
            limit = limit - #tenants
        end
        offset = math.max(0, offset - size)
    end
else
    local key, add = LEASES, add_leased
    if kind == 'parked' then key, add = PARKED, add_parked end
    local those = redis.call('ZRANGE', key, offset, offset + limit - 1, 'WITHSCORES')
    for i = 1, #those, 2 do add(those[i], tonumber(those[i + 1])) end
end
return found
