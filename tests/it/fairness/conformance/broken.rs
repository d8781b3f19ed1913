//! Deliberate faults in the scripts' own text.

use super::Change;

/// What is wrong, and the change that makes it so.
pub(super) const BROKEN: &[(&str, Change)] = &[
    (
        "a settlement takes any fence",
        ("or fence ~= by then", "or not fence then"),
    ),
    (
        "a reap keeps the lease",
        ("ended[#ended + 1] = ticket\n    count", "count"),
    ),
    (
        "a reap does not count the crash",
        ("crashes + 1, VNOW", "crashes, VNOW"),
    ),
    (
        "a push is made twice",
        ("if class and not state and not", "if class and not"),
    ),
    (
        "the mark `again` is lost",
        ("if again == '0' then", "if false then"),
    ),
    ("a push readies what is parked", ("not parked[i]", "true")),
    (
        "a paused tenant is let in",
        ("(get(PAUSED, tenant) or", "("),
    ),
    (
        "a tenant at its cap is let in",
        ("or get(CAPPED, tenant)) then", ") then"),
    ),
    (
        "the virtual time stands still",
        ("vtime = at > on and at or on", ""),
    ),
    (
        "a returning tenant has banked credit",
        ("VNEW[class])\n        pushed", "0)\n        pushed"),
    ),
    (
        "a new tenant has no credit",
        (
            "VNEW[class])\n        pushed",
            "VNOW[class])\n        pushed",
        ),
    ),
    (
        "a parked tenant comes back without credit",
        ("0, VNEW[class]) end", "0, VNOW[class]) end"),
    ),
    (
        "the cap is not looked at",
        ("elseif inflight >= cap then", "elseif false then"),
    ),
    (
        "a lease's end does not count under the cap",
        ("inflight_of(tenant) - 1", "inflight_of(tenant)"),
    ),
    (
        "a tenant below its cap stays out",
        ("if uncapped then uncap(tenant) end", ""),
    ),
    (
        "a renewal does nothing",
        (
            "if #deadlines > 0 then redis.call('ZADD', LEASES, unpack(deadlines)) end",
            "",
        ),
    ),
    (
        "a ticket handed back goes to the end",
        ("true, since, crashes, VNOW", "false, since, crashes, VNOW"),
    ),
    (
        "the clock is believed when it runs back",
        ("if raw + ahead < last then", "if false then"),
    ),
    (
        "suspects are worked side by side",
        (">= SUSPECT and suspects == 0", ">= SUSPECT and false"),
    ),
    (
        "what ran out unheard is taken back at once",
        ("now < grace and {} or", ""),
    ),
    (
        "nobody is woken",
        ("redis.call('LPUSH', p .. ':wake:' .. class, '1')", ""),
    ),
    (
        "what is left over of a fence is not put back",
        ("'%d', base + taken)\n    if", "'%d', base + limit)\n    if"),
    ),
    (
        "a rest is forgotten",
        (
            "sub(first, 1, 1) ~= '-' and next_of(class, tenant)",
            "false",
        ),
    ),
    (
        "what was first is lost when another comes to the front",
        (
            "redis.call('LPUSH', REST[class] .. tenant, sub(first, 2))",
            "",
        ),
    ),
    (
        "what ended is still counted",
        ("gone[#gone + 1] = field", ""),
    ),
    (
        "a tenant that comes again comes before those who wait",
        ("other.at < at or", "other.at > at or"),
    ),
    (
        "a tenant at its cap stays in the other ring",
        ("redis.call('ZREM', RING[other], unpack(out))", ""),
    ),
    (
        "a ring's size is not what wakes",
        ("stock[class] = left + aside", "stock[class] = 1"),
    ),
];
