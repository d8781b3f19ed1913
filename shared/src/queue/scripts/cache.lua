-- A write-back cache of hashes and sets. Fields are read in bulk, changed in memory and written once, by save() at
-- the end of each script, because a call costs the more the more commands it sends.
--
-- `is` has the value that a field will have, false for none and nil for a field that was not read yet. `was` has the
-- value in Redis of each field that was put. Numbers go there and back as text, because most of them are only carried
-- and both Redis and Lua write a number with seventeen digits.
local UNKNOWN, caches = {}, {}
local function cache(name, set)
    local made = {key = p .. ':' .. name, set = set, was = {}, is = {}}
    caches[#caches + 1] = made
    return made
end
local TICKETS, INFLIGHT = cache('tickets'), cache('inflight')
INFLIGHT.long = true
local FIRST = {fresh = cache('first:fresh'), backfill = cache('first:backfill')}
local PAUSED, CAPPED = cache('paused', true), cache('capped', true)

-- Whether any tenant is paused or capped. Mostly none is, so it is asked once per call.
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
-- Redis scans a small hash from end to end at each access. One long field turns it into a real hash table.
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

-- How many leases a tenant has. Tables convert both ways, because a conversion takes longer than all else here.
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
