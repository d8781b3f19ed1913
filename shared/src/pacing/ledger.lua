-- One budget of the fleet: settles what a process knows and grants what it asks for, in one step.
--
-- KEYS[1] is the budget, a hash tag: every key below shares its slot.
--   :window     hash   what is known of the server's window, see below
--   :open       hash   tick of the grant → permits granted in it that nobody has answered for
--   :processes  zset   who asked lately, by when
-- All of it is soft: it lives a minute, and one answer of the server tells enough to go on.
--
-- ARGV: process, share, class, want, answers, returned,
--   per answer: tick, sent and got (milliseconds ago), refused (0 or 1), limit, remaining, reset, date, retry-after in
--   milliseconds (-1 where the header is missing); per return: tick, permits that were not used.
-- A class of 'look' changes nothing.
--
-- The one exact fact is "this call was counted in the window that ends at Reset, and left so many". So a call is
-- always in one of two sums: answered, then `used` has it; or open, and it must be assumed to count in the window
-- that is open now. Both together never pass the limit. Times are Redis' own; the server's clock shows in its
-- answers only, and its distance is learned as bounds that narrow.
local WINDOW = 10000
-- Permits of one tick are settled together: a few numbers, however many permits.
local TICK = 500
-- A permit has to be sent this soon after its grant.
local VALID = 800
-- A call that was sent this long ago has been counted, or never will be.
local COUNTED = 1500
-- An answer is told to the ledger this soon, or within about a third of the time that answers take.
local REPORTED = 250
-- The time of the window after which nothing is kept back for fresh calls any more.
local MELTED = 9700
local FIRST_LIMIT, ABSURD_LIMIT = 166, 10000000
-- The ledger may be new because Redis was away: by so long after, every process has heard that it is back. Until
-- then some call on their own, all of them together at half the budget (local.rs).
local HEARD = 2500
-- Without headers for so long, the window is not known.
local BLIND = 20000
local STATE, OPEN, PROCESSES = KEYS[1] .. ':window', KEYS[1] .. ':open', KEYS[1] .. ':processes'
local floor, max, min, ceil = math.floor, math.max, math.min, math.ceil

local time = redis.call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
local process, share, class, want = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local answers, returns = tonumber(ARGV[5]), tonumber(ARGV[6])
local look = class == 'look'

local function read(key)
    local flat, into = redis.call('HGETALL', key), {}
    for i = 1, #flat, 2 do into[flat[i]] = tonumber(flat[i + 1]) end
    return into
end
-- born: when all this began; reset: the window's end, seconds of the server; first: that of the first window; used: of it, as answered; own: ours among them; granted: in it;
-- refill: Redis' time before which nothing is granted; low, high: bounds of Redis' clock less the server's, by Reset;
-- dated_low, dated_high: the same by Date, narrower, and dropped for good (undated) when Reset contradicts;
-- limit, limit_at: and since when; probe: until when one call goes alone; seen, blind: last answer with and
-- without headers; tat: the pace without; fresh, fresh_mean: calls per window; burst, burst_at: fresh calls wanted
-- in a second, and in which; peak: the most of late; span: how far into it answers reach; foreign: calls of
-- others per millisecond; without: windows in a row without any; latency
local s, open = read(STATE), read(OPEN)
local cold = not s.reset
local changed, closed, causes = {}, nil, {own = 0, foreign = 0, cold = 0}
local jitter = now % 97
s.born = s.born or now

local function stale_at(tick) return (tick + 1) * TICK + VALID + COUNTED end
local function drop(tick)
    open[tick], changed[tick] = nil, true
end
local function high() return s.undated and s.high or min(s.high, s.dated_high or s.high) end
local function low() return s.undated and s.low or max(s.low, s.dated_low or s.low) end
-- Never early: by the late bound.
local function ends() return s.reset * 1000 + high() end
local function mean(of, value) return of and of * 0.7 + value * 0.3 or value end

-- A new window. What was sent long ago was counted in one that has ended.
local function begin(reset)
    local unknown = 0
    for tick, count in pairs(open) do
        unknown = unknown + count
        if stale_at(tonumber(tick)) <= now then drop(tick) end
    end
    if s.reset then
        if not closed then closed = {s.used, s.limit} end
        -- Of the window that the ledger began in, nobody knows whose calls came before; and some processes of ours
        -- may have called without it until the next one's end: Redis was away, or the app's bucket was found shared.
        if s.reset > s.first + 10 then
            -- Once we have spent the window others get nothing: their rate is that of the time before.
            local theirs = max(0, s.used - s.own - unknown)
            s.foreign = mean(s.foreign, theirs / max(s.span, 500))
            -- Two windows without them, though answers came: they are gone, and no room is kept.
            s.without = theirs == 0 and s.own > 0 and (s.without or 0) + 1 or 0
            if s.without >= 2 then s.foreign = 0 end
        end
        s.fresh_mean = mean(s.fresh_mean, s.fresh)
        s.peak = (s.peak or 0) * 0.9
        -- Clocks drift apart.
        local drift = (reset - s.reset) * 0.05
        s.low, s.high = s.low - drift, s.high + drift
        if s.dated_high then s.dated_low, s.dated_high = s.dated_low - drift, s.dated_high + drift end
    end
    s.first = s.first or reset
    s.reset, s.used, s.own, s.granted, s.fresh, s.span = reset, 0, 0, 0, 0, 0
end
local function roll()
    if s.reset and now >= ends() then begin(s.reset + 10 * (floor((now - ends()) / WINDOW) + 1)) end
end
roll()

-- What one answer says of the distance between the clocks. Returns whether the window had been begun too early.
local function learn_clock(sent, got, reset, date)
    local at = reset * 1000
    s.low, s.high = max(s.low or sent - at, sent - at), min(s.high or got - at + WINDOW, got - at + WINDOW)
    if date >= 0 then
        -- A margin for clocks of two machines of the server's.
        s.dated_low = max(s.dated_low or -1e15, sent - date * 1000 - 1060)
        s.dated_high = min(s.dated_high or 1e15, got - date * 1000 + 60)
    end
    if s.low > s.high + 250 then
        -- Redis' clock was set: all that was learned is of another clock.
        s.low, s.high, s.dated_low, s.dated_high = sent - at, got - at + WINDOW, nil, nil
    elseif s.dated_high and (s.low > s.dated_high + 20 or s.high < s.dated_low - 20) then
        s.undated = 1
    end
    return reset < s.reset and sent > at + high()
end

local function settle(tick, sent, got, refused, limit, remaining, reset, date, retry)
    local count = open[tick]
    if count then
        if count > 1 then open[tick], changed[tick] = count - 1, true else drop(tick) end
    end
    s.latency = s.latency and s.latency * 0.95 + (got - sent) * 0.05 or got - sent
    local known = limit >= 1 and limit <= ABSURD_LIMIT and remaining >= 0 and remaining <= limit
        and math.abs(reset * 1000 - (s.reset and ends() or now)) <= (s.reset and 60000 or 3600000)
    if not known then
        s.blind = now
        -- Nobody says what it cost: one, if it can have been in this window.
        if s.reset and sent >= ends() - WINDOW then
            s.used, s.own = s.used + 1, s.own + 1
            if refused then s.used = s.limit end
        end
        if refused then
            causes[cold and 'cold' or 'foreign'] = causes[cold and 'cold' or 'foreign'] + 1
            s.refill = max(s.refill or 0, now + max(retry, s.reset and 0 or WINDOW))
        end
        return
    end
    if not s.reset or reset > s.reset then begin(reset) end
    s.seen = now
    local early = learn_clock(sent, got, reset, date)
    if early then s.refill = max(s.refill or 0, reset * 1000 + high()) end
    if sent >= (s.limit_at or 0) then s.limit, s.limit_at = limit, sent end
    if reset == s.reset then
        local before = s.used
        s.span = min(WINDOW, max(s.span, sent - (reset - 10) * 1000 - (low() + high()) / 2))
        s.used = max(s.used, limit - remaining)
        if not refused then s.own = s.own + 1 end
        -- By when this call was sent, older ones had been counted if ever: `used` has them.
        for tick, count in pairs(open) do
            if sent >= stale_at(tonumber(tick)) then
                s.own = s.own + count
                drop(tick)
            end
        end
        if sent >= (s.probe_sent or 0) then s.probe = nil end
        if refused then
            local out = 0
            for _, count in pairs(open) do out = out + count end
            local cause = cold and 'cold' or before - s.own > 0 and 'foreign' or s.own + out >= limit and 'own' or 'foreign'
            causes[cause] = causes[cause] + 1
            -- Whoever spent it, and whatever else the server counts by: this window has nothing left.
            s.used = max(s.used, limit)
        end
    elseif refused then
        causes[early and 'own' or 'foreign'] = causes[early and 'own' or 'foreign'] + 1
    end
    if refused and retry > 0 then s.refill = max(s.refill or 0, now + retry) end
end

local at = 7
for _ = 1, answers do
    local function number(i) return tonumber(ARGV[at + i]) end
    settle(ARGV[at], now - number(1), now - number(2), number(3) == 1, number(4), number(5), number(6), number(7), number(8))
    at = at + 9
end
for _ = 1, returns do
    local tick, unused = ARGV[at], tonumber(ARGV[at + 1])
    local left = (open[tick] or 0) - unused
    if left > 0 then open[tick], changed[tick] = left, true else drop(tick) end
    if s.granted then s.granted = max(0, s.granted - unused) end
    at = at + 2
end
roll()

if not look then
    redis.call('ZADD', PROCESSES, now, process)
    redis.call('ZREMRANGEBYSCORE', PROCESSES, '-inf', now - 15000)
end
local processes = max(1, redis.call('ZCARD', PROCESSES))
local limit = s.limit or FIRST_LIMIT
local allowed = max(1, floor(limit * share))
local out, stale, oldest = 0, 0, 1e15
for tick, count in pairs(open) do
    out = out + count
    local settled = stale_at(tonumber(tick))
    if settled <= now then stale = stale + count else oldest = min(oldest, settled) end
end

-- How many, and if none, after how many milliseconds to ask again.
local function grant()
    if s.refill and now < s.refill then return 0, s.refill - now + jitter end
    if s.blind and now - (s.seen or 0) > BLIND then
        -- No window is known: an even pace below the last known limit, four at once.
        local pace = WINDOW / (0.9 * allowed)
        s.tat = max(s.tat or 0, now)
        local g = min(want, floor((now + 4 * pace - s.tat) / pace))
        if g < 1 then return 0, s.tat - now - 3 * pace + 1 + pace * (processes - 1) * jitter / 97 end
        s.tat = s.tat + g * pace
        return g, 0
    end
    if not s.reset then
        -- One call goes alone and tells.
        if s.probe and now < s.probe then return 0, min(s.probe - now, 50 + jitter) end
        s.probe, s.probe_sent = now + COUNTED + VALID, now
        return 1, 0
    end
    local elapsed = now - (s.reset - 10) * 1000 - (low() + high()) / 2
    -- What others of the customer's have taken, or will have, before an answer shows it; with some for chance.
    local reported = max(REPORTED, (s.latency or 0) / 3 + 150)
    local lag = max((s.latency or 0) + reported, elapsed - s.span)
    local unseen = (s.foreign or 0) * lag
    local guard = unseen >= 0.05 and ceil(unseen + 3 * math.sqrt(unseen)) or 0
    -- Kept for fresh calls: as many as may still come in this window, with some for chance; and to the end as many
    -- as come together, since who polls together comes together. The end is short: no more than it can spend.
    local function reserve(elapsed)
        if class ~= 'backfill' or elapsed >= MELTED then return 0 end
        local coming = max(s.fresh_mean or 0, 0.02 * allowed) * (1 - max(elapsed, 0) / MELTED)
        local together = min(max(s.peak or 0, 1), 0.15 * allowed)
        return min(ceil(max(coming + 3 * math.sqrt(coming * together), 1.2 * together)), floor(0.4 * allowed))
    end
    local held = reserve(elapsed)
    local unheard = floor(0.5 * allowed * max(0, s.born + HEARD - now) / WINDOW)
    local free = allowed - s.used - out - guard - unheard
    local lease = max(1, min(floor(free / (4 * processes)), min(max(floor(limit / 100), 4), 64)))
    local g = min(want, lease, free - held)
    if g >= 1 then return g, 0 end

    local to_end = max(ends() - now, 1) + jitter / (class == 'fresh' and 8 or 2)
    local room = allowed - s.used - guard - unheard
    -- Calls whose answer is lost, others whose calls are guessed: where there should be room, one call tells.
    local lost = stale > 0 and free + stale - held >= 1
    local guessed = guard > 0 and lag > 1000 and free + guard - held - unseen >= 1
    if (lost or guessed) and not (s.probe and now < s.probe) then
        s.probe, s.probe_sent = now + COUNTED + VALID, now
        return 1, 0
    end
    if room < 1 then return 0, guard + unheard > 0 and min(to_end, 1500 + jitter) or to_end end
    if room - held < 1 or free - held < 1 and free >= 1 then
        -- Until a third of what is free has melted out of the reserve.
        local target, melted = free - max(1, floor(free / 3)), elapsed + 50
        while melted < MELTED and reserve(melted) > target do melted = melted + 100 end
        return 0, min(to_end, min(melted, max(MELTED, elapsed + 50)) - elapsed + jitter / 4)
    end
    -- All is handed out: the answers will tell, or in the end that they do not come.
    if s.granted >= allowed - guard then return 0, min(to_end, max(oldest - now, 100) + jitter) end
    return 0, min(to_end, max(40, (s.latency or 0) / 8) + jitter)
end

local granted, wait = 0, 0
if want > 0 and not look then granted, wait = grant() end
if want > 0 and class == 'fresh' then
    local second = floor(now / 1000)
    s.burst = (s.burst_at == second and s.burst or 0) + granted
    s.burst_at = second
    s.peak = max(s.peak or 0, s.burst + (granted == 0 and want or 0))
end
local tick = string.format('%d', floor(now / TICK))
if granted > 0 then
    open[tick], changed[tick] = (open[tick] or 0) + granted, true
    if s.granted then
        s.granted = s.granted + granted
        if class == 'fresh' then s.fresh = s.fresh + granted end
    end
end

if not look then
    local fields = {}
    for name, value in pairs(s) do
        fields[#fields + 1] = name
        fields[#fields + 1] = string.format('%.3f', value)
    end
    if #fields > 0 then redis.call('HSET', STATE, unpack(fields)) end
    if not s.probe then redis.call('HDEL', STATE, 'probe') end
    if not s.dated_high then redis.call('HDEL', STATE, 'dated_high', 'dated_low') end
    local gone, kept = {}, {}
    for name in pairs(changed) do
        if open[name] then
            kept[#kept + 1] = name
            kept[#kept + 1] = string.format('%d', open[name])
        else
            gone[#gone + 1] = name
        end
    end
    if #kept > 0 then redis.call('HSET', OPEN, unpack(kept)) end
    if #gone > 0 then redis.call('HDEL', OPEN, unpack(gone)) end
    for _, key in ipairs({STATE, OPEN, PROCESSES}) do redis.call('PEXPIRE', key, 60000) end
end
return {
    granted, tonumber(tick), VALID, ceil(wait), limit, s.used or 0,
    s.reset and max(0, ceil(ends() - now)) or -1, processes,
    causes.own, causes.foreign, causes.cold, closed and closed[1] or -1, closed and closed[2] or -1, allowed,
}
