-- Intercom's fixed window: when one ends, and what the ledger keeps from it.
--
-- The one exact fact is that a response's call was counted in the window that ends at Reset, and left Remaining
-- calls. So every call is in one of two sums. A reported call is in `used`. An open permit may still be counted in
-- this window. The two sums together never exceed the limit.

-- From this time on, calls of the tick have been counted if they ever will be.
local function settled_at(tick) return (tick + 1) * TICK + VALID + COUNTED end

local function drop(tick)
    open[tick], changed[tick] = nil, true
end

-- Open permits, those of them whose calls have been counted or never will be, and when the next ones are.
local function open_permits()
    local out, stale, oldest = 0, 0, 1e15
    for tick, count in pairs(open) do
        out = out + count
        local settled = settled_at(tonumber(tick))
        if settled <= now then stale = stale + count else oldest = min(oldest, settled) end
    end
    return out, stale, oldest
end

local function moving_mean(mean, value) return mean and mean * 0.7 + value * 0.3 or value end

-- Counts of the window in which the ledger began, and of the next one, are not the fleet's alone: the ledger missed
-- earlier calls, and some processes may have called without it because Redis was away.
local function counts_are_complete() return s.reset > s.first + 10 end

local function learn_foreign(unreported)
    -- When the fleet has spent the window, other apps get nothing. So their rate is taken until the last response.
    local foreign = max(0, s.used - s.own - unreported)
    s.foreign = moving_mean(s.foreign, foreign / max(s.span, 500))
    -- After two windows with responses and without foreign calls, the other apps are gone and the guard ends.
    s.without = foreign == 0 and s.own > 0 and (s.without or 0) + 1 or 0
    if s.without >= 2 then s.foreign = 0 end
end

local function close_window(unreported, reset)
    if not closed then closed = {s.used, s.limit} end
    if counts_are_complete() then learn_foreign(unreported) end
    s.fresh_mean = moving_mean(s.fresh_mean, s.fresh)
    s.peak = (s.peak or 0) * 0.9
    widen_clock(reset - s.reset)
end

local function begin_window(reset)
    local unreported = 0
    for tick, count in pairs(open) do
        unreported = unreported + count
        -- These calls were counted in a window that has ended.
        if settled_at(tonumber(tick)) <= now then drop(tick) end
    end
    if s.reset then close_window(unreported, reset) end
    s.first = s.first or reset
    s.reset, s.used, s.own, s.granted, s.fresh, s.span = reset, 0, 0, 0, 0, 0
end

-- Responses have no headers that make sense, so the window is no longer known.
local function is_blind() return s.blind and now - (s.seen or 0) > BLIND end

local function roll_window()
    if s.reset and now >= window_ends() then
        begin_window(s.reset + 10 * (floor((now - window_ends()) / WINDOW) + 1))
    end
end

