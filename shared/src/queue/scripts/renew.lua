-- renew(prefix, lease_ms, ticket, fence, ...): renews leases. Returns the tickets that the caller no longer leases.
local tickets, deadlines, lost = {}, {}, {}
local deadline = string.format('%d', now + ARGV[1])
for i = 2, #ARGV, 2 do tickets[#tickets + 1] = ARGV[i] end
fetch(TICKETS, tickets)
for i = 2, #ARGV, 2 do
    local state = get(TICKETS, ARGV[i])
    if state and match(state, '^(%d+),') == ARGV[i + 1] then
        deadlines[#deadlines + 1] = deadline
        deadlines[#deadlines + 1] = ARGV[i]
    else
        lost[#lost + 1] = ARGV[i]
    end
end
if #deadlines > 0 then redis.call('ZADD', LEASES, unpack(deadlines)) end
save()
return lost
