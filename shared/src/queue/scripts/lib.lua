-- Put before every other script: the keys, the clock, and how a ticket becomes ready.
--
-- KEYS[1] is the prefix, a hash tag: every key below shares its slot. A ticket is in one of three states:
--   ready   `tickets` says 'ready', and its tenant's turn holds 'since,crashes,ticket': the first one in
--           `first:<class>` (hash, by tenant), those behind it in `rest:<class>:<tenant>` (list)
--   leased  `tickets` says 'fence,again,finish,since,crashes', and `leases` (zset) holds its deadline
--   parked  `parked` (zset) holds its time, and nothing else knows it: what waits must be small
-- Most tenants have one ready ticket, and firsts are read and written in bulk. '+' before a first one says that
-- there may be a rest, '-' that there is none.
-- `ring:<class>` (zset) holds the tenants that may be served, by virtual time. A tenant that is in `paused` or
-- `capped` (sets) is in no ring, so nobody walks over it; `inflight` (hash) counts its leases. Nothing is kept of
-- a tenant without tickets.
--
-- A command costs the more the more of them there are: hashes and sets are read in bulk, changed in memory, and
-- written once per call, by save(), with which every script ends.
local p = KEYS[1]
local PARKED, LEASES = p .. ':parked', p .. ':leases'
local CLASSES = {'fresh', 'backfill'}
local RING = {fresh = p .. ':ring:fresh', backfill = p .. ':ring:backfill'}
local REST = {fresh = p .. ':rest:fresh:', backfill = p .. ':rest:backfill:'}
local CLOCK, FENCE, VTIME = p .. ':clock', p .. ':fence', {fresh = p .. ':vtime:fresh', backfill = p .. ':vtime:backfill'}

local time = redis.call('TIME')
local kept = redis.call('MGET', CLOCK, FENCE, VTIME.fresh, VTIME.backfill)
local vtimes = {fresh = tonumber(kept[3] or '0') or 0, backfill = tonumber(kept[4] or '0') or 0}
local before = {fresh = vtimes.fresh, backfill = vtimes.backfill}

-- Milliseconds that never run backwards: when the server's clock is set back, its distance is added from then on.
local function read_clock()
    local raw = time[1] * 1000 + math.floor(time[2] / 1000)
    local last, ahead = string.match(kept[1] or '', '^(%d+):(%d+)$')
    last, ahead = tonumber(last or 0), tonumber(ahead or 0)
    if raw + ahead < last then ahead = last - raw end
    return raw + ahead, ahead
end
local now, ahead = read_clock()
-- Sixteen digits: Lua's own conversion to text would round them.
local NOW = string.format('%.0f', now)
local strings = {CLOCK, string.format('%s:%.0f', NOW, ahead)}

-- Class and tenant of a ticket by its layout, or nil and why it is not one of ours: foreign hands may write to
-- Redis too. A claim looks at each letter.
local function read(ticket)
    local sub = string.sub
    if #ticket <= 160 then
        if sub(ticket, 1, 8) == '1/fresh/' and sub(ticket, 45, 45) == '/' and sub(ticket, 82, 82) == '/' then
            return 'fresh', sub(ticket, 9, 44)
        elseif sub(ticket, 1, 11) == '1/backfill/' and sub(ticket, 48, 48) == '/' and sub(ticket, 85, 85) == '/' then
            return 'backfill', sub(ticket, 12, 47)
        end
    else
        return nil, 'oversized'
    end
    local version = string.match(ticket, '^(%d+)/')
    return nil, version and version ~= '1' and 'version' or 'garbled'
end

-- A hash or a set as this call sees it: `was` is what Redis holds, `is` what it will; false is nothing, and nil
-- is not asked yet.
local books = {}
local function book(name, set)
    local made = {key = p .. ':' .. name, set = set, was = {}, is = {}}
    books[#books + 1] = made
    return made
end
local TICKETS, INFLIGHT = book('tickets'), book('inflight')
local FIRST = {fresh = book('first:fresh'), backfill = book('first:backfill')}
local PAUSED, CAPPED = book('paused', true), book('capped', true)

-- Most of the time nobody is paused or capped: asked once per call.
local anybody
local function answers(from, asked)
    if not from.set then return redis.call('HMGET', from.key, unpack(asked)) end
    if anybody == nil then anybody = redis.call('EXISTS', PAUSED.key, CAPPED.key) > 0 end
    return anybody and redis.call('SMISMEMBER', from.key, unpack(asked)) or {}
end
local function fetch(from, fields)
    local was, is, asked, n = from.was, from.is, {}, 0
    for i = 1, #fields do
        local field = fields[i]
        if is[field] == nil then
            n = n + 1
            asked[n], is[field], was[field] = field, false, false
        end
    end
    if n == 0 then return end
    local values = answers(from, asked)
    for i = 1, n do
        local value = values[i]
        if from.set then value = value == 1 end
        if value then is[asked[i]], was[asked[i]] = value, value end
    end
end
local function get(from, field)
    local value = from.is[field]
    if value == nil then
        fetch(from, {field})
        value = from.is[field]
    end
    return value
end
local function put(into, field, value) into.is[field] = value end
local function write(from)
    local was, set, into, gone = from.was, from.set, {}, {}
    for field, value in pairs(from.is) do
        if value == was[field] then
            -- As it was.
        elseif value then
            into[#into + 1] = field
            if not set then into[#into + 1] = value end
        else
            gone[#gone + 1] = field
        end
    end
    if #into > 0 then redis.call(set and 'SADD' or 'HSET', from.key, unpack(into)) end
    if #gone > 0 then redis.call(set and 'SREM' or 'HDEL', from.key, unpack(gone)) end
end

local deltas, awake = {}, {}
local function count(state, class, by)
    local field = state .. ':' .. class
    deltas[field] = (deltas[field] or 0) + by
end

-- Lets a tenant into the ring, unless it is there or may not be served.
local entering = {fresh = {}, backfill = {}}
local function enter(class, tenant, at)
    if get(PAUSED, tenant) or get(CAPPED, tenant) then return end
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

-- Makes a ticket ready, at the front of its tenant's turn or at the end. `since` is text.
local function ready(ticket, class, tenant, front, since, crashes, at)
    put(TICKETS, ticket, 'ready')
    local entry = since .. ',' .. crashes .. ',' .. ticket
    local firsts, rest = FIRST[class], REST[class] .. tenant
    local first = get(firsts, tenant)
    if not first then
        put(firsts, tenant, '-' .. entry)
    elseif front then
        redis.call('LPUSH', rest, string.sub(first, 2))
        put(firsts, tenant, '+' .. entry)
    else
        redis.call('RPUSH', rest, entry)
        if string.sub(first, 1, 1) ~= '+' then put(firsts, tenant, '+' .. string.sub(first, 2)) end
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
        if vtimes[class] ~= before[class] then
            strings[#strings + 1] = key
            strings[#strings + 1] = string.format('%.17g', vtimes[class])
        end
    end
    redis.call('MSET', unpack(strings))
    for _, from in ipairs(books) do write(from) end
    for field, by in pairs(deltas) do
        if by ~= 0 then redis.call('HINCRBY', p .. ':counts', field, by) end
    end
    admit()
    wake()
end

