-- minutes(prefix, count): what was counted in each of the last minutes, the oldest first and the current one last. Each is
-- {the minute in Unix time, slices, failures, calls}. It changes nothing.
local MINUTE = 60000
local current, found = math.floor(now / MINUTE), {}
for minute = current - tonumber(ARGV[1]) + 1, current do
    local key = string.format('%s:minute:%d', p, minute)
    local counted = redis.call('HMGET', key, 'slices', 'failures', 'calls')
    found[#found + 1] = {minute, tonumber(counted[1] or 0), tonumber(counted[2] or 0), tonumber(counted[3] or 0)}
end
return found
