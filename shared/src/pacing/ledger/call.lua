-- The call: settle first, so that the grant knows every report.

s.born = s.born or now
roll_window()
settle_all()
roll_window()
if not look then
    redis.call('ZADD', PROCESSES, now, process)
    redis.call('ZREMRANGEBYSCORE', PROCESSES, '-inf', now - 15000)
end
prepare_grant()
local granted, wait = grant()
if requested > 0 and class == 'fresh' then note_burst(granted) end
local tick = string.format('%d', floor(now / TICK))
if granted > 0 then open_permits_of(tick, granted) end
if not look then save() end
-- Calls of this window that neither reports nor open permits explain.
local foreign = s.reset and counts_are_complete() and max(0, s.used - s.own - out) or 0
return {
    granted, tonumber(tick), VALID, ceil(wait), limit, s.used or 0,
    s.reset and max(0, ceil(window_ends() - now)) or -1, processes,
    causes.own, causes.foreign, causes.cold, closed and closed[1] or -1, closed and closed[2] or -1, allowed,
    s.reset or -1, s.own or 0, foreign,
}
