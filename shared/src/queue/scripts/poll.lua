-- poll(prefix, lease_ms, cap, limit, fresh_limit, backfill_limit, suspects, pass_on,
-- {ticket, fence, verdict, snooze_ms}...): the one call of a working worker. It settles leases, reaps expired ones,
-- promotes parked tickets, and leases up to `limit` tickets, one per tenant and turn. Each step is bounded, however many
-- tickets there are.
-- Returns {milliseconds until the next parked ticket or -1, reaped, {1 or 0 per settled lease},
-- {ticket, fence, crashes, milliseconds ready, ...}, {why a ticket was refused, ...}}.
local settled = settle_all()
local reaped = reap()
local next_parked = promote()
-- Last, so that a freed slot goes to the tenant whose turn it is after all of the above.
claim_all()
if taken > 0 or pass_on then awake.fresh, awake.backfill = true, true end
save()
return {next_parked, reaped, settled, claimed, refused}
