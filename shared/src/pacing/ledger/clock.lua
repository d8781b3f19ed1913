-- Two clocks. Every decision uses Redis' clock. Intercom's clock shows only in its responses, so the ledger keeps
-- bounds of the distance between the two (Redis less Intercom) and narrows them with each response.

local time = redis.call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
-- Spreads the processes that wait for the same moment.
local jitter = now % 97

local function clock_high() return s.undated and s.high or min(s.high, s.dated_high or s.high) end
local function clock_low() return s.undated and s.low or max(s.low, s.dated_low or s.low) end

-- The window's end by Redis' clock. The late bound, so that no call of the next window is sent too early.
local function window_ends() return s.reset * 1000 + clock_high() end

-- How far into the window a time is, by the middle of the bounds.
local function window_elapsed(at) return at - (s.reset - 10) * 1000 - (clock_low() + clock_high()) / 2 end

-- Clocks drift apart, so the bounds widen with time.
local function widen_clock(seconds)
    local drift = seconds * 0.05
    s.low, s.high = s.low - drift, s.high + drift
    if s.dated_high then s.dated_low, s.dated_high = s.dated_low - drift, s.dated_high + drift end
end

-- Whether the distance cannot be inside the bounds, because Redis' clock was set. Then they describe another clock.
local function clock_was_set(report)
    local at = report.reset * 1000
    return s.low and max(s.low, report.sent - at) > min(s.high, report.got - at + WINDOW) + LATE_REPORT
end

-- What the bounds said about Date described another clock, too.
local function forget_clock() s.low, s.high, s.dated_low, s.dated_high, s.undated = nil, nil, nil, nil, nil end

-- Narrows the bounds by one response. Returns whether the ledger began a window before Intercom did.
local function learn_clock(sent, got, reset, date)
    -- Intercom counted the call after it was sent and before its response came, inside the window that ends at Reset.
    local at = reset * 1000
    s.low, s.high = max(s.low or sent - at, sent - at), min(s.high or got - at + WINDOW, got - at + WINDOW)
    -- Of two bounds that contradict each other a little, the late one gives way, so that no call is sent too early.
    s.high = max(s.low, s.high)
    if date >= 0 then
        -- Date counts whole seconds. The rest is a margin for two machines of Intercom with different clocks.
        s.dated_low = max(s.dated_low or -1e15, sent - date * 1000 - 1060)
        s.dated_high = min(s.dated_high or 1e15, got - date * 1000 + 60)
    end
    -- Reset contradicts Date, and Reset is what Intercom counts by.
    if s.dated_high and (s.low > s.dated_high + 20 or s.high < s.dated_low - 20) then s.undated = 1 end
    return reset < s.reset and sent > at + clock_high()
end

