-- Grants permits. Each function returns the number of permits, and if there are none, the milliseconds after which
-- the process should ask again.
local processes, limit, allowed, out, stale, oldest

local function prepare_grant()
    processes = max(1, redis.call('ZCARD', PROCESSES))
    limit = s.limit or FIRST_LIMIT
    allowed = max(1, floor(limit * share))
    out, stale, oldest = open_permits()
end

local function start_probe() s.probe, s.probe_sent = now + COUNTED + VALID, now end

-- No window is known because headers are missing: an even pace below the last limit, at most four calls at once.
local function grant_by_pace()
    local pace = WINDOW / (0.9 * allowed)
    s.tat = max(s.tat or 0, now)
    local granted = min(requested, floor((now + 4 * pace - s.tat) / pace))
    if granted < 1 then return 0, s.tat - now - 3 * pace + 1 + pace * (processes - 1) * jitter / 97 end
    s.tat = s.tat + granted * pace
    return granted, 0
end

-- The ledger is new. A single probe call learns the window from its headers.
local function grant_first_probe()
    if s.probe and now < s.probe then return 0, min(s.probe - now, 50 + jitter) end
    start_probe()
    return 1, 0
end

-- Calls withheld for other apps of the customer, which may have called since the last response. Returns the calls
-- with a margin for chance, the calls expected, and the time since that response.
local function foreign_guard(elapsed)
    local reported = max(REPORTED, (s.latency or 0) / 3 + 150)
    local lag = max((s.latency or 0) + reported, elapsed - s.span)
    local expected = (s.foreign or 0) * lag
    return expected >= 0.05 and ceil(expected + 3 * math.sqrt(expected)) or 0, expected, lag
end

-- Backfill calls leave a reserve for the fresh calls still expected in this window, with a margin for chance. The
-- reserve shrinks as the window ends, down to the size of one burst, because polls tend to arrive in bursts. It is
-- zero in the last moments, because the fleet could no longer spend it.
local function fresh_reserve(elapsed)
    if class ~= 'backfill' or elapsed >= RESERVE_ENDS then return 0 end
    local coming = max(s.fresh_mean or 0, 0.02 * allowed) * (1 - max(elapsed, 0) / RESERVE_ENDS)
    local burst = min(max(s.peak or 0, 1), 0.15 * allowed)
    return min(ceil(max(coming + 3 * math.sqrt(coming * burst), 1.2 * burst)), floor(0.4 * allowed))
end

-- Until the reserve has shrunk by a third of the free calls.
local function wait_for_reserve(elapsed, free, to_end)
    local target, at = free - max(1, floor(free / 3)), elapsed + 50
    while at < RESERVE_ENDS and fresh_reserve(at) > target do at = at + 100 end
    return min(to_end, min(at, max(RESERVE_ENDS, elapsed + 50)) - elapsed + jitter / 4)
end

local function wait_for_permits(elapsed, free, reserve, guard, offline)
    local to_end = max(window_ends() - now, 1) + jitter / (class == 'fresh' and 8 or 2)
    -- Not counted yet: free calls and open permits.
    local left = free + out
    if left < 1 then return guard + offline > 0 and min(to_end, 1500 + jitter) or to_end end
    if left - reserve < 1 or free - reserve < 1 and free >= 1 then return wait_for_reserve(elapsed, free, to_end) end
    -- Every call of the window was granted. A permit comes back only if its call turns out not to be counted.
    if s.granted >= allowed - guard then return min(to_end, max(oldest - now, 100) + jitter) end
    return min(to_end, max(40, (s.latency or 0) / 8) + jitter)
end

local function grant_in_window()
    local elapsed = window_elapsed(now)
    local guard, expected, lag = foreign_guard(elapsed)
    local reserve = fresh_reserve(elapsed)
    -- Processes that do not know yet that Redis is back may spend this many.
    local offline = floor(0.5 * allowed * max(0, s.born + OFFLINE - now) / WINDOW)
    local free = allowed - s.used - out - guard - offline
    -- A lease is small, so that no process holds what another one could spend.
    local lease = max(1, min(floor(free / (4 * processes)), min(max(floor(limit / 100), 4), 64)))
    local granted = min(requested, lease, free - reserve)
    if granted >= 1 then return granted, 0 end

    -- One probe call finds out the truth if the withheld calls are those of lost responses or of a guess.
    local lost = stale > 0 and free + stale - reserve >= 1
    local guessed = guard > 0 and lag > 1000 and free + guard - reserve - expected >= 1
    if (lost or guessed) and not (s.probe and now < s.probe) then
        start_probe()
        return 1, 0
    end
    return 0, wait_for_permits(elapsed, free, reserve, guard, offline)
end

local function grant()
    if requested == 0 or look then return 0, 0 end
    if s.refill and now < s.refill then return 0, s.refill - now + jitter end
    if is_blind() then return grant_by_pace() end
    if not s.reset then return grant_first_probe() end
    return grant_in_window()
end

-- Fresh calls that arrive within one second are a burst. The reserve covers the largest recent one.
local function note_burst(granted)
    local second = floor(now / 1000)
    s.burst = (s.burst_at == second and s.burst or 0) + granted
    s.burst_at = second
    s.peak = max(s.peak or 0, s.burst + (granted == 0 and requested or 0))
end

local function open_permits_of(tick, granted)
    open[tick], changed[tick] = (open[tick] or 0) + granted, true
    if s.granted then
        s.granted = s.granted + granted
        if class == 'fresh' then s.fresh = s.fresh + granted end
    end
end

