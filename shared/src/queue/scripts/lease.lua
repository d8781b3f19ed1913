-- What settle and reap share: the state of a leased ticket, and the end of a lease.
local BATCH = 64
local lease_ms, cap, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local fresh_limit, backfill_limit, suspects = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local pass_on = ARGV[7] == '1'
-- Why tickets were refused.
local refused = {}

-- Reads in bulk the fields that a step will use for these tickets. Returns their classes, their tenants (or why a
-- ticket is refused), and the tenants of those that are not refused.
local function look_up(tickets, verdicts)
    local classes, tenants, served, by_class = {}, {}, {}, {fresh = {}, backfill = {}}
    for i = 1, #tickets do
        local class, tenant = read(tickets[i])
        classes[i], tenants[i] = class or false, tenant
        -- A ticket that is done or snoozed takes no place in a turn.
        local verdict = verdicts and verdicts[i]
        if class then
            served[#served + 1] = tenant
            if verdict ~= 'done' and verdict ~= 'snooze' then by_class[class][#by_class[class] + 1] = tenant end
        end
    end
    fetch(TICKETS, tickets)
    fetch(PAUSED, served)
    fetch(CAPPED, served)
    fetch(FIRST.fresh, by_class.fresh)
    fetch(FIRST.backfill, by_class.backfill)
    return classes, tenants, served
end

-- The parts of a leased ticket's state: fence, again, finish, since, crashes. nil if it is not leased.
local function lease_of(ticket)
    return match(get(TICKETS, ticket) or '', '^(%d+),([01]),(%d+),(%d+),(%d+)$')
end

-- Ends a lease in the caches. Returns whether its tenant was at its cap and is below it now.
local ended = {}
local function release(ticket, class, tenant)
    ended[#ended + 1] = ticket
    count('leased', class, -1)
    local inflight = inflight_of(tenant) - 1
    put_inflight(tenant, inflight)
    if anybody == false or inflight >= cap or not get(CAPPED, tenant) then return false end
    put(CAPPED, tenant, false)
    return true
end
local function uncap(tenant)
    for _, class in ipairs(CLASSES) do reenter(class, tenant, VNOW[class]) end
end
local function end_leases()
    if #ended > 0 then redis.call('ZREM', LEASES, unpack(ended)) end
    ended = {}
end
