-- probe(prefix): writes, so that a server that is full, read-only or restricted shows itself.
local time = redis.call('TIME')
redis.call('SET', KEYS[1] .. ':probe', time[1], 'PX', 60000)
return 1
