-- Settles reports: what one response says about the window.

-- A report ends one permit of its tick.
local function end_permit(tick)
    local count = open[tick]
    if count then
        if count > 1 then open[tick], changed[tick] = count - 1, true else drop(tick) end
    end
end

-- No permit is granted before this time.
local function refill_at(at) s.refill = max(s.refill or 0, at) end

local function count_refusal(cause) causes[cause] = causes[cause] + 1 end

-- Headers are absurd if their numbers contradict each other or Reset is far from the window.
local function are_known(report)
    local known = s.reset and not is_blind()
    return report.limit >= 1 and report.limit <= MAX_LIMIT
        and report.remaining >= 0 and report.remaining <= report.limit
        and math.abs(report.reset * 1000 - (known and window_ends() or now)) <= (known and 60000 or 3600000)
end

local function settle_without_headers(report)
    s.blind = now
    -- The call costs one if it can have been counted in this window.
    if s.reset and report.sent >= window_ends() - WINDOW then
        s.used, s.own = s.used + 1, s.own + 1
        if report.refused then s.used = s.limit end
    end
    if report.refused then
        count_refusal(cold and 'cold' or 'foreign')
        refill_at(now + max(report.retry, s.reset and 0 or WINDOW))
    end
end

-- A 429 is the fleet's own if no other app can have spent the window.
local function cause_of_refusal(used_before, limit)
    if cold then return 'cold' end
    if used_before - s.own > 0 then return 'foreign' end
    return s.own + open_permits() >= limit and 'own' or 'foreign'
end

-- A response of the window that is open.
local function settle_in_window(report)
    local limit, sent, used_before = report.limit, report.sent, s.used
    s.span = min(WINDOW, max(s.span, window_elapsed(sent)))
    s.used = max(s.used, limit - report.remaining)
    if not report.refused then s.own = s.own + 1 end
    -- When this call was sent, older calls had been counted if they ever will be. So `used` includes them.
    for tick, count in pairs(open) do
        if sent >= settled_at(tonumber(tick)) then
            s.own = s.own + count
            drop(tick)
        end
    end
    if sent >= (s.probe_sent or 0) then s.probe = nil end
    if report.refused then
        count_refusal(cause_of_refusal(used_before, limit))
        -- The window has nothing left, whatever else Intercom counts by.
        s.used = max(s.used, limit)
    end
end

-- Redis' clock was set, so the ledger may have begun windows that Intercom has not begun. The window of this response
-- is the one that is known, and the fleet's calls in it are not.
local function restart(reset)
    if reset ~= s.reset then begin_window(reset) end
    s.first = reset
    forget_clock()
end

local function settle(report)
    end_permit(report.tick)
    local latency = report.got - report.sent
    s.latency = s.latency and s.latency * 0.95 + latency * 0.05 or latency
    if not are_known(report) then return settle_without_headers(report) end
    if not s.reset or report.reset > s.reset then begin_window(report.reset) end
    if clock_was_set(report) then restart(report.reset) end
    s.seen = now
    local early = learn_clock(report.sent, report.got, report.reset, report.date)
    if early then refill_at(report.reset * 1000 + clock_high()) end
    -- The limit of the call that was sent last is the current one.
    if report.sent >= (s.limit_at or 0) then s.limit, s.limit_at = report.limit, report.sent end
    if report.reset == s.reset then
        settle_in_window(report)
    elseif report.refused then
        count_refusal(early and 'own' or 'foreign')
    end
    if report.refused and report.retry > 0 then refill_at(now + report.retry) end
end

-- Unused permits go back to the window. Their calls were never sent.
local function take_back(tick, unused)
    local left = (open[tick] or 0) - unused
    if left > 0 then open[tick], changed[tick] = left, true else drop(tick) end
    if s.granted then s.granted = max(0, s.granted - unused) end
end

local function settle_all()
    local at = 7
    for _ = 1, reports do
        local function number(i) return tonumber(ARGV[at + i]) end
        settle({
            tick = ARGV[at], sent = now - number(1), got = now - number(2), refused = number(3) == 1,
            limit = number(4), remaining = number(5), reset = number(6), date = number(7), retry = number(8),
        })
        at = at + 9
    end
    for _ = 1, returns do
        take_back(ARGV[at], tonumber(ARGV[at + 1]))
        at = at + 2
    end
end

