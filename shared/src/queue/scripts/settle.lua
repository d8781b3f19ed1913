-- Settles leases: each ends with the verdict of its slice.
local parking = {}
-- What is counted of the slices that end with this call.
local finished, failures, calls = 0, 0, 0
-- The same of each class, and the milliseconds for which slots were held.
local used = {fresh = {0, 0, 0}, backfill = {0, 0, 0}}

-- Returns 1, or 0 if the lease is no longer the caller's. In that case another worker has the ticket and keeps it.
local function settle(ticket, class, tenant, by, verdict, wait)
    local fence, again, finish, since, crashes = lease_of(ticket)
    if not class or fence ~= by then return 0 end
    local uncapped = release(ticket, class, tenant)
    if verdict == 'release' then
        -- The slice did not begin, so the ticket goes to the front, as if it had never been leased.
        ready(ticket, class, tenant, true, since, crashes, VNOW[class])
    elseif verdict == 'snooze' then
        put(TICKETS, ticket, false)
        parking[#parking + 1] = string.format('%d', now + wait)
        parking[#parking + 1] = ticket
        count('parked', class, 1)
    elseif verdict == 'requeue' or again == '1' then
        -- One slice is one turn, so the ticket comes after those that waited while the slice ran.
        ready(ticket, class, tenant, false, NOW, 0, tonumber(finish) > vtimes[class] and finish or VNOW[class])
    else
        put(TICKETS, ticket, false)
    end
    if uncapped then uncap(tenant) end
    return 1
end

-- The milliseconds of a snooze. Behind them may stand whether a slice has failed, how many calls it has sent, and for how
-- many milliseconds it held its slot.
local function numbers_of(text)
    local wait, failed, sent, held = match(text, '^(%d+):([01]):(%d+):(%d+)$')
    if not wait then return tonumber(text) end
    return tonumber(wait), tonumber(failed), tonumber(sent), tonumber(held)
end

-- Two hours, because an hour is shown and a minute is written for as long as it lasts.
local MINUTE, KEPT = 60000, 7200000
local function count_slices()
    if finished == 0 then return end
    local key = string.format('%s:minute:%d', p, math.floor(now / MINUTE))
    local slices = redis.call('HINCRBY', key, 'slices', finished)
    if failures > 0 then redis.call('HINCRBY', key, 'failures', failures) end
    if calls > 0 then redis.call('HINCRBY', key, 'calls', calls) end
    for class, of_class in pairs(used) do
        if of_class[1] > 0 then
            redis.call('HINCRBY', key, 'slices:' .. class, of_class[1])
            redis.call('HINCRBY', key, 'calls:' .. class, of_class[2])
            redis.call('HINCRBY', key, 'held:' .. class, of_class[3])
        end
    end
    if slices == finished then redis.call('PEXPIRE', key, KEPT) end
end

local function settle_all()
    local settled, tickets, verdicts = {}, {}, {}
    for i = 8, #ARGV, 4 do
        tickets[#tickets + 1] = ARGV[i]
        verdicts[#verdicts + 1] = ARGV[i + 2]
    end
    if #tickets == 0 then return settled end
    local classes, tenants, served = look_up(tickets, verdicts)
    fetch(INFLIGHT, served)
    for i = 1, #tickets do
        local at = 4 * i + 4
        local wait, failed, sent, held = numbers_of(ARGV[at + 3])
        settled[i] = settle(tickets[i], classes[i], tenants[i], ARGV[at + 1], verdicts[i], wait)
        if failed and settled[i] == 1 then
            finished, failures, calls = finished + 1, failures + failed, calls + sent
            local of_class = used[classes[i]]
            of_class[1], of_class[2], of_class[3] = of_class[1] + 1, of_class[2] + sent, of_class[3] + held
        end
    end
    count_slices()
    end_leases()
    if #parking > 0 then redis.call('ZADD', PARKED, unpack(parking)) end
    return settled
end
