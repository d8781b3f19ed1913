-- renew(prefix, lease_ms, ticket, fence, ...): keeps leases alive. Returns the tickets that are no longer ours.
local p = KEYS[1]
local time = redis.call('TIME')
local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local lost = {}
for i = 2, #ARGV, 2 do
    local state = redis.call('HGET', p .. ':tickets', ARGV[i])
    local held = 'leased:' .. ARGV[i + 1]
    if state == held or state == held .. ':again' then
        redis.call('ZADD', p .. ':leases', 'XX', deadline, ARGV[i])
    else
        lost[#lost + 1] = ARGV[i]
    end
end
return lost
