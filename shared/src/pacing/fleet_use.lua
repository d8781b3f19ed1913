-- fleet_use(window, {budget, "calls:used:allowed"}...): notes what processes have seen of budgets in this window. The ledger of
-- a budget tells every process the whole fleet's calls, so the highest number is the latest.
local function calls_of(text) return tonumber(string.match(text or '', '^(%d+):')) or -1 end
for i = 1, #ARGV, 2 do
    if calls_of(ARGV[i + 1]) >= calls_of(redis.call('HGET', KEYS[1], ARGV[i])) then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    end
end
redis.call('PEXPIRE', KEYS[1], 120000)
