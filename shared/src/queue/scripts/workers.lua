-- workers(prefix, 'report', name, text): a worker says what it does. workers(prefix, 'forget', name): it has ended.
-- workers(prefix, 'list'): {name, milliseconds since its last report, text} of each worker that has reported within a minute.
-- A worker that is silent for longer is forgotten, because a killed one cannot say that it ends.
local REPORTS, BEATS = p .. ':workers', p .. ':worker_beats'
local SILENT = 60000
local verb, name = ARGV[1], ARGV[2]
if verb == 'report' then
    redis.call('HSET', REPORTS, name, ARGV[3])
    redis.call('ZADD', BEATS, NOW, name)
    local gone = redis.call('ZRANGEBYSCORE', BEATS, '-inf', string.format('%d', now - SILENT), 'LIMIT', 0, 64)
    if #gone > 0 then
        redis.call('HDEL', REPORTS, unpack(gone))
        redis.call('ZREM', BEATS, unpack(gone))
    end
    return {}
elseif verb == 'forget' then
    redis.call('HDEL', REPORTS, name)
    redis.call('ZREM', BEATS, name)
    return {}
end
local found = {}
local beats = redis.call('ZRANGEBYSCORE', BEATS, string.format('%d', now - SILENT), '+inf', 'WITHSCORES', 'LIMIT', 0, 500)
for i = 1, #beats, 2 do
    found[#found + 1] = {beats[i], math.max(0, now - beats[i + 1]), redis.call('HGET', REPORTS, beats[i]) or ''}
end
return found
