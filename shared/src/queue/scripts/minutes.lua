-- minutes(prefix, count): what was counted in each of the last minutes, the oldest first and the current one last. Each is
-- {the minute in Unix time, slices, failures, calls, {slices, calls and milliseconds of held slots of fresh, and of backfill}}.
-- It changes nothing.
local MINUTE = 60000
local current, found = math.floor(now / MINUTE), {}
for minute = current - tonumber(ARGV[1]) + 1, current do
    local key = string.format('%s:minute:%d', p, minute)
    local counted = redis.call('HMGET', key, 'slices', 'failures', 'calls',
        'slices:fresh', 'calls:fresh', 'held:fresh', 'slices:backfill', 'calls:backfill', 'held:backfill')
    for i = 1, 9 do counted[i] = tonumber(counted[i] or 0) end
    found[#found + 1] = {minute, counted[1], counted[2], counted[3], {unpack(counted, 4)}}
end
return found
