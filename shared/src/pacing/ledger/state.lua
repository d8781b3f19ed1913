-- The fleet's ledger of one rate budget. One call settles reports and grants permits in one atomic step.
--
-- The script is state, clock, window, settle, grant and call, in this order, as one text. README.md in the folder
-- above lists the fields of the window and works through an example.
--
-- KEYS[1] names the budget. It has a hash tag, so that all keys below share one slot of a cluster.
--   :window     hash   the fields of the window
--   :open       hash   tick of the grant -> permits of that tick without a report
--   :processes  zset   processes by the time of their last request
-- The keys expire after a minute without requests. One response of Intercom is enough to start again.
--
-- ARGV: process, share, class, requested permits, number of reports, number of returns,
--   per report: tick, sent and received (milliseconds ago), refused (0 or 1), limit, remaining, reset, date and
--   retry-after in milliseconds (-1 if the header is missing)
--   per return: tick, unused permits
-- The class 'look' changes nothing.
local WINDOW = 10000
-- Permits of one tick are settled together, so that the ledger keeps a few numbers however many permits there are.
local TICK = 500
-- A process must send a permit's call this soon after the grant.
local VALID = 800
-- Intercom counts a call this soon after it was sent, or never.
local COUNTED = 1500
-- A process reports a response this soon, or within about a third of its latency.
local REPORTED = 250
-- A report that is slow on its way to Redis makes its call seem later than it was, by this much at most.
local LATE_REPORT = 20
-- The reserve for fresh calls ends this long after the window's start.
local RESERVE_ENDS = 9700
local FIRST_LIMIT, MAX_LIMIT = 166, 10000000
-- A new ledger can mean that Redis was away. Some processes then still call from their offline limiter, together
-- at half the budget, until their next try of Redis, which is at most this far off (local/offline.rs).
local OFFLINE = 2500
-- Without headers for this long, the window is no longer known.
local BLIND = 20000
local STATE, OPEN, PROCESSES = KEYS[1] .. ':window', KEYS[1] .. ':open', KEYS[1] .. ':processes'
local floor, max, min, ceil = math.floor, math.max, math.min, math.ceil

local process, share, class, requested = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local reports, returns = tonumber(ARGV[5]), tonumber(ARGV[6])
local look = class == 'look'

local function read(key)
    local flat, fields = redis.call('HGETALL', key), {}
    for i = 1, #flat, 2 do fields[flat[i]] = tonumber(flat[i + 1]) end
    return fields
end

local s, open = read(STATE), read(OPEN)
local cold = not s.reset
-- Ticks of `open` that this call changed, the window that it closed, and the 429s that it settled by cause.
local changed, closed, causes = {}, nil, {own = 0, foreign = 0, cold = 0}

-- Fields that a call may end.
local MAY_END = {'probe', 'undated', 'dated_low', 'dated_high'}

local function save_window()
    local fields = {}
    for name, value in pairs(s) do
        fields[#fields + 1] = name
        fields[#fields + 1] = string.format('%.3f', value)
    end
    if #fields > 0 then redis.call('HSET', STATE, unpack(fields)) end
    local gone = {}
    for _, name in ipairs(MAY_END) do
        if not s[name] then gone[#gone + 1] = name end
    end
    if #gone > 0 then redis.call('HDEL', STATE, unpack(gone)) end
end

local function save_open()
    local gone, kept = {}, {}
    for tick in pairs(changed) do
        if open[tick] then
            kept[#kept + 1] = tick
            kept[#kept + 1] = string.format('%d', open[tick])
        else
            gone[#gone + 1] = tick
        end
    end
    if #kept > 0 then redis.call('HSET', OPEN, unpack(kept)) end
    if #gone > 0 then redis.call('HDEL', OPEN, unpack(gone)) end
end

local function save()
    save_window()
    save_open()
    for _, key in ipairs({STATE, OPEN, PROCESSES}) do redis.call('PEXPIRE', key, 60000) end
end

