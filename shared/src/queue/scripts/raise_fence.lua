-- raise_fence(prefix, least): makes the next fence higher than `least`. Needed if Redis lost its keys and its clock
-- was set back.
local p = KEYS[1]
local fence = redis.call('GET', p .. ':fence')
if not fence or tonumber(fence) < tonumber(ARGV[1]) then
    redis.call('SET', p .. ':fence', ARGV[1])
end
return 1
