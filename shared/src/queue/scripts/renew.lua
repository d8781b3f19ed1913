-- renew(prefix, lease_ms, ticket, fence, ...): keeps leases alive. Returns the tickets that are no longer ours.
local deadline = now + tonumber(ARGV[1])
local lost = {}
for i = 2, #ARGV, 2 do
    local state = redis.call('HGET', TICKETS, ARGV[i])
    if state and string.match(state, '^(%d+),') == ARGV[i + 1] then
        redis.call('ZADD', LEASES, deadline, ARGV[i])
    else
        lost[#lost + 1] = ARGV[i]
    end
end
return lost
