-- Put before every other script: the keys, the clock, and how a ticket becomes ready.
--
-- KEYS[1] is the prefix, a hash tag: every key below shares its slot. A ticket is in one of three states:
--   ready   `tickets` says 'ready', and its tenant's turn holds 'since,crashes,ticket': the first one in
--           `first:<class>` (hash, by tenant), those behind it in `rest:<class>:<tenant>` (list)
--   leased  `tickets` says 'fence,again,finish,since,crashes', and `leases` (zset) holds its deadline
--   parked  `parked` (zset) holds its time, and nothing else knows it: what waits must be small
-- Most tenants have one ready ticket, and firsts are read and written in bulk. '+' before a first one says that
-- there may be a rest, '-' that there is none.
-- `ring:<class>` (zset) holds the tenants that may be served, by virtual time: a turn is TURN, and the time is a
-- whole number, which is quick to write. A tenant that is in `paused` or `capped` (sets) is in no ring, so nobody
-- walks over it; `inflight` (hash) counts its leases. Nothing is kept of a tenant without tickets.
--
-- A command costs the more the more of them there are: hashes and sets are read in bulk, changed in memory, and
-- written once per call, by save(), with which every script ends. Numbers go there and back as text: most of
-- them are only carried, and Redis and Lua write each with seventeen digits.
local p = KEYS[1]
local PARKED, LEASES = p .. ':parked', p .. ':leases'
local CLASSES = {'fresh', 'backfill'}
local TURN = 65536
local RING = {fresh = p .. ':ring:fresh', backfill = p .. ':ring:backfill'}
local REST = {fresh = p .. ':rest:fresh:', backfill = p .. ':rest:backfill:'}
local CLOCK, FENCE, VTIME = p .. ':clock', p .. ':fence', {fresh = p .. ':vtime:fresh', backfill = p .. ':vtime:backfill'}
local GRACE = p .. ':grace'

local time = redis.call('TIME')
local kept = redis.call('MGET', CLOCK, FENCE, VTIME.fresh, VTIME.backfill, GRACE)
local vtimes = {fresh = tonumber(kept[3] or 0) or 0, backfill = tonumber(kept[4] or 0) or 0}
-- As it was when the call began, and as text: nobody but a claim moves it, and claims come last.
local VNOW = {fresh = string.format('%d', vtimes.fresh), backfill = string.format('%d', vtimes.backfill)}
-- Where one begins who comes, or comes back: one turn of credit, so that it need not wait for a whole round of
-- those who are always there, and no more, however long it was away.
local VNEW = {
    fresh = string.format('%d', math.max(0, vtimes.fresh - TURN)),
    backfill = string.format('%d', math.max(0, vtimes.backfill - TURN)),
}

-- Milliseconds that never run backwards: when the server's clock is set back, its distance is added from then on.
local function read_clock()
    local raw = time[1] * 1000 + math.floor(time[2] / 1000)
    local last, ahead = string.match(kept[1] or '', '^(%d+):(%d+)$')
    last, ahead = tonumber(last or 0), tonumber(ahead or 0)
    if raw + ahead < last then ahead = last - raw end
    return raw + ahead, ahead, last
end
local now, ahead, last = read_clock()
-- Lua's own conversion to text would round it.
local NOW = string.format('%d', now)
local strings = {CLOCK, string.format('%s:%d', NOW, ahead)}

-- A living worker calls every second. When nobody called for half a lease, Redis was away, or its clock was set on:
-- a lease that ran out meanwhile says nothing of its worker, who gets another lease's time to renew it.
local UNHEARD, ONE_LEASE = 3000, 6000
local grace = tonumber(kept[5] or 0) or 0
if last > 0 and now - last > UNHEARD then
    grace = now + ONE_LEASE
    strings[3], strings[4] = GRACE, string.format('%d', grace)
end

-- Class and tenant of a ticket by its layout, or nil and why it is not one of ours: foreign hands may write to
-- Redis too. A claim looks at each letter.
local sub, byte, match = string.sub, string.byte, string.match
local SLASH = byte('/')
local function read(ticket)
    if #ticket <= 160 then
        local head = sub(ticket, 1, 8)
        if head == '1/fresh/' then
            if byte(ticket, 45) == SLASH and byte(ticket, 82) == SLASH then return 'fresh', sub(ticket, 9, 44) end
        elseif head == '1/backfi' and sub(ticket, 9, 11) == 'll/' then
            if byte(ticket, 48) == SLASH and byte(ticket, 85) == SLASH then return 'backfill', sub(ticket, 12, 47) end
        end
    else
        return nil, 'oversized'
    end
    local version = match(ticket, '^(%d+)/')
    return nil, version and version ~= '1' and 'version' or 'garbled'
end

-- A hash or a set as this call sees it: `is` is what it will be, false for nothing and nil for not asked yet;
-- `was` is what Redis holds of the fields that were put.
local UNKNOWN, books = {}, {}
local function book(name, set)
    local made = {key = p .. ':' .. name, set = set, was = {}, is = {}}
    books[#books + 1] = made
    return made
end
local TICKETS, INFLIGHT = book('tickets'), book('inflight')
INFLIGHT.long = true
local FIRST = {fresh = book('first:fresh'), backfill = book('first:backfill')}
local PAUSED, CAPPED = book('paused', true), book('capped', true)

-- Most of the time nobody is paused or capped: asked once per call.
local anybody
local function fetch(from, fields)
    local is, asked, n = from.is, {}, 0
    if from.set then
        if anybody == nil then anybody = redis.call('EXISTS', PAUSED.key, CAPPED.key) > 0 end
        if not anybody then return end
    end
    for i = 1, #fields do
        local field = fields[i]
        if is[field] == nil then
            n = n + 1
            asked[n], is[field] = field, false
        end
    end
    if n == 0 then return end
    local values = redis.call(from.set and 'SMISMEMBER' or 'HMGET', from.key, unpack(asked))
    for i = 1, n do
        local value = values[i]
        if value and value ~= 0 then is[asked[i]] = value end
    end
end
local function get(from, field)
    local value = from.is[field]
    if value == nil and not (from.set and anybody == false) then
        fetch(from, {field})
        value = from.is[field]
    end
    return value
end
local function put(into, field, value)
    local is, was = into.is, into.was
    if was[field] == nil then
        local before = is[field]
        if before == nil then before = UNKNOWN end
        was[field] = before
    end
    is[field] = value
end
-- Redis looks through a small hash from end to end at each access; one long field makes it a real one.
local LONG = string.rep('-', 65)
local function write(from)
    local is, set, into, n, gone = from.is, from.set, {}, 0, {}
    for field, was in pairs(from.was) do
        local value = is[field]
        if value and value ~= was then
            n = n + 1
            into[n] = field
            if not set then
                n = n + 1
                into[n] = value
            end
        elseif was and not value then
            gone[#gone + 1] = field
        end
    end
    if n > 0 then
        if from.long then into[n + 1], into[n + 2] = LONG, '' end
        redis.call(set and 'SADD' or 'HSET', from.key, unpack(into))
    end
    if #gone > 0 then
        redis.call(set and 'SREM' or 'HDEL', from.key, unpack(gone))
        if from.long and n == 0 and redis.call('HLEN', from.key) == 1 then redis.call('DEL', from.key) end
    end
end

-- How many leases a tenant has. Both ways by table: a conversion takes longer than all else here.
local TEXT, NUMBER = {[0] = false}, {}
for i = 1, 16 do
    TEXT[i] = string.format('%d', i)
    NUMBER[TEXT[i]] = i
end
local function inflight_of(tenant)
    local leases = get(INFLIGHT, tenant)
    return leases and (NUMBER[leases] or tonumber(leases)) or 0
end
local function put_inflight(tenant, leases)
    if leases < 0 then leases = 0 end
    local text = TEXT[leases]
    if text == nil then text = string.format('%d', leases) end
    put(INFLIGHT, tenant, text)
end

local deltas, awake = {}, {}
for _, state in ipairs({'ready', 'leased', 'parked'}) do deltas[state] = {fresh = 0, backfill = 0} end
local function count(state, class, by)
    local by_class = deltas[state]
    by_class[class] = by_class[class] + by
end

-- Lets a tenant into the ring, unless it is there or may not be served. `at` is text.
local entering = {fresh = {}, backfill = {}}
local function enter(class, tenant, at)
    if anybody ~= false and (get(PAUSED, tenant) or get(CAPPED, tenant)) then return end
    local those = entering[class]
    those[#those + 1] = at
    those[#those + 1] = tenant
    awake[class] = true
end
-- The same for a tenant that was kept out, if it has anything ready.
local function reenter(class, tenant, at)
    if get(FIRST[class], tenant) then enter(class, tenant, at) end
end
-- Those who enter are in from here on.
local function admit()
    for class, those in pairs(entering) do
        if #those > 0 then
            redis.call('ZADD', RING[class], 'NX', unpack(those))
            entering[class] = {}
        end
    end
end

-- Makes a ticket ready, at the front of its tenant's turn or at the end. `since` and `at` are text.
local function ready(ticket, class, tenant, front, since, crashes, at)
    put(TICKETS, ticket, 'ready')
    local firsts = FIRST[class]
    local first = get(firsts, tenant)
    if not first then
        put(firsts, tenant, '-' .. since .. ',' .. crashes .. ',' .. ticket)
    elseif front then
        redis.call('LPUSH', REST[class] .. tenant, sub(first, 2))
        put(firsts, tenant, '+' .. since .. ',' .. crashes .. ',' .. ticket)
    else
        redis.call('RPUSH', REST[class] .. tenant, since .. ',' .. crashes .. ',' .. ticket)
        if sub(first, 1, 1) ~= '+' then put(firsts, tenant, '+' .. sub(first, 2)) end
    end
    enter(class, tenant, at)
    count('ready', class, 1)
end

-- Wakes one idle worker per class with something to take; whoever takes it wakes the next one.
-- `stock` has the sizes of rings that are known.
local stock = {}
local function wake()
    for class in pairs(awake) do
        if not get(PAUSED, 'fleet') and not get(PAUSED, class)
            and (stock[class] or redis.call('EXISTS', RING[class])) > 0
            and redis.call('LLEN', p .. ':wake:' .. class) == 0 then
            redis.call('LPUSH', p .. ':wake:' .. class, '1')
        end
    end
end
-- The fence is among the first things written, before any lease.
local function save()
    for class, key in pairs(VTIME) do
        local at = string.format('%d', vtimes[class])
        if at ~= VNOW[class] then
            strings[#strings + 1] = key
            strings[#strings + 1] = at
        end
    end
    redis.call('MSET', unpack(strings))
    for _, from in ipairs(books) do write(from) end
    for state, by_class in pairs(deltas) do
        for class, by in pairs(by_class) do
            if by ~= 0 then redis.call('HINCRBY', p .. ':counts', state .. ':' .. class, by) end
        end
    end
    admit()
    wake()
end

