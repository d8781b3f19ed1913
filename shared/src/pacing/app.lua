-- Whether all workspaces of the app share one bucket: takes in what one process saw in one window, and judges.
--
-- KEYS[1] is the app's budget, a hash tag: every key below shares its slot.
--   :bucket       hash   shared (0 or 1), and per window `w<reset>` → "expected repeats"
--   :seen<reset>  set    limit:place:workspace of that window
-- ARGV: reset, then per sighting: limit, place (of `Remaining` among the numbers that are looked at), workspace.
-- No arguments: what was judged last. Returns 1 if the bucket is shared.
--
-- A bucket gives each number once per window. Were there one bucket for each workspace, their numbers would know
-- nothing of each other, and some would come twice: how many is expected follows from how dense each workspace's
-- numbers lie where they overlap. Enough of them expected and next to none seen: one bucket. Many seen: several.
-- The newest windows that say enough judge alone, so that one window shows that the bucket is not shared any more.
local WINDOWS = 8
-- With twelve expected, chance would show none once in 160,000 times.
local ENOUGH, TWO = 12, 2
local MOST, LARGEST = 1024, 16
local BUCKET = KEYS[1] .. ':bucket'

local shared = tonumber(redis.call('HGET', BUCKET, 'shared') or 0)
if #ARGV == 0 then return shared end
local reset = tonumber(ARGV[1])
local SEEN = KEYS[1] .. ':seen' .. ARGV[1]

local room, new = MOST - redis.call('SCARD', SEEN), {}
for i = 2, #ARGV, 3 do
    if #new >= room then break end
    new[#new + 1] = ARGV[i] .. ':' .. ARGV[i + 1] .. ':' .. ARGV[i + 2]
end
if #new > 0 then redis.call('SADD', SEEN, unpack(new)) end
redis.call('PEXPIRE', SEEN, 60000)

-- Of one limit's sightings: how many repeats are expected of independent buckets, and how many there are.
local function weigh(workspaces)
    table.sort(workspaces, function(a, b) return a.count > b.count end)
    for i = #workspaces, LARGEST + 1, -1 do workspaces[i] = nil end
    local owners, total, distinct, low, high = {}, 0, 0, math.huge, -math.huge
    for _, one in ipairs(workspaces) do
        total, low, high = total + one.count, math.min(low, one.low), math.max(high, one.high)
        for place in pairs(one.places) do
            if not owners[place] then owners[place], distinct = true, distinct + 1 end
        end
    end
    local expected = 0
    for place = low, high do
        local sum, none = 0, 1
        for _, one in ipairs(workspaces) do
            if place >= one.low and place <= one.high then
                local density = one.count / (one.high - one.low + 1)
                sum, none = sum + density, none * (1 - density)
            end
        end
        expected = expected + sum - (1 - none)
    end
    return expected, total - distinct
end

local limits = {}
for _, sighting in ipairs(redis.call('SMEMBERS', SEEN)) do
    local limit, place, workspace = string.match(sighting, '^(%d+):(%d+):(.*)$')
    place = tonumber(place)
    limits[limit] = limits[limit] or {}
    local of = limits[limit]
    local one = of[workspace] or {count = 0, low = place, high = place, places = {}}
    of[workspace] = one
    one.count, one.places[place] = one.count + 1, true
    one.low, one.high = math.min(one.low, place), math.max(one.high, place)
end
local expected, repeats = 0, 0
for _, of in pairs(limits) do
    local workspaces = {}
    for _, one in pairs(of) do workspaces[#workspaces + 1] = one end
    local more, seen = weigh(workspaces)
    expected, repeats = expected + more, repeats + seen
end
redis.call('HSET', BUCKET, 'w' .. ARGV[1], string.format('%.3f %d', expected, repeats))

local flat, windows = redis.call('HGETALL', BUCKET), {}
for i = 1, #flat, 2 do
    local at = string.match(flat[i], '^w(%d+)$')
    if at then
        local of, seen = string.match(flat[i + 1], '^(%S+) (%S+)$')
        windows[#windows + 1] = {at = tonumber(at), expected = tonumber(of), repeats = tonumber(seen)}
    end
end
table.sort(windows, function(a, b) return a.at > b.at end)
for i = WINDOWS + 1, #windows do redis.call('HDEL', BUCKET, string.format('w%d', windows[i].at)) end
local telling, all, twice = 0, 0, 0
for i = 1, math.min(#windows, WINDOWS) do
    local window = windows[i]
    all, twice = all + window.expected, twice + window.repeats
    if window.expected >= 1 then telling = telling + 1 end
    if all >= ENOUGH and telling >= TWO then
        if twice * 8 < all then shared = 1 elseif twice * 3 > all then shared = 0 end
        break
    end
end
redis.call('HSET', BUCKET, 'shared', shared)
-- What is true of the app today is true of it tomorrow; and were it not, one window would show it.
redis.call('PEXPIRE', BUCKET, 86400000)
return shared
