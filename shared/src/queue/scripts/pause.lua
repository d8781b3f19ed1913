-- pause(prefix, 'pause' or 'resume', scope...): a scope is 'fleet', a class, or a tenant's id. Slices that run go on,
-- and no ticket of the scope is leased. A paused tenant leaves the rings, so that a claim need not skip it.
for i = 2, #ARGV do
    local scope = ARGV[i]
    if ARGV[1] == 'pause' then
        put(PAUSED, scope, true)
        for _, class in ipairs(CLASSES) do redis.call('ZREM', RING[class], scope) end
    else
        put(PAUSED, scope, false)
        for _, class in ipairs(CLASSES) do
            reenter(class, scope, VNOW[class])
            awake[class] = true
        end
    end
end
save()
return #ARGV - 1
