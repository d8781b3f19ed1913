-- The layout of a ticket.
local sub, byte, match = string.sub, string.byte, string.match
local SLASH = byte('/')

-- The class and the tenant of a ticket, or nil and the reason why it is refused. Other clients may write to Redis
-- too. Only the layout is checked here, and the worker that claims a ticket checks each letter.
local function read(ticket)
    if #ticket <= 160 then
        local head = sub(ticket, 1, 8)
        if head == '1/fresh/' then
            if byte(ticket, 45) == SLASH and byte(ticket, 82) == SLASH then return 'fresh', sub(ticket, 9, 44) end
        elseif head == '1/backfi' and sub(ticket, 9, 11) == 'll/' then
            if byte(ticket, 48) == SLASH and byte(ticket, 85) == SLASH then return 'backfill', sub(ticket, 12, 47) end
        end
    else
        return nil, 'oversized'
    end
    local version = match(ticket, '^(%d+)/')
    return nil, version and version ~= '1' and 'version' or 'garbled'
end
