-- raise_fence(prefix, least): the next fence is above `least`. For a Redis whose clock went back.
local p = KEYS[1]
local fence = redis.call('GET', p .. ':fence')
if not fence or tonumber(fence) < tonumber(ARGV[1]) then
    redis.call('SET', p .. ':fence', ARGV[1])
end
return 1
