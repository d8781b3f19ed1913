-- watch(prefix, 'keep', holder, milliseconds): the one scheduler that measures the fleet keeps the watch for so long.
-- Returns {1, the numbers that were told last} if it has it, and {0, ''} if another one has it.
-- watch(prefix, 'tell', holder, milliseconds, numbers): keeps the watch and tells numbers, which outlive the holder.
-- watch(prefix, 'leave', holder): gives the watch up.
local WATCH, NUMBERS = KEYS[1] .. ':watch', KEYS[1] .. ':fleet_numbers'
-- Older numbers say nothing of the fleet of today.
local KEPT = 600000
local verb, holder = ARGV[1], ARGV[2]
local holding = redis.call('GET', WATCH)
if holding and holding ~= holder then return {0, ''} end
if verb == 'leave' then
    redis.call('DEL', WATCH)
    return {0, ''}
end
redis.call('SET', WATCH, holder, 'PX', ARGV[3])
if verb == 'tell' then
    redis.call('SET', NUMBERS, ARGV[4], 'PX', KEPT)
    return {1, ''}
end
return {1, redis.call('GET', NUMBERS) or ''}
