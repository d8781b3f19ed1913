"""The official client of the protocol in Python calls the tools of the running API: lists, calls, pages, errors, resources.

The client itself compares each structured content with the tool's schema. Ends with a line for each revision, or with
the first fault.
"""

import asyncio
import json
import os
import sys

from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

URL = os.environ["URL"]
KEY = os.environ["KEY"]
CALLS = json.loads(os.environ["CALLS"])
TOOLS, REFUSED, UNLISTED, RESOURCE = (CALLS[name] for name in ("tools", "refused", "unlisted", "resource"))


async def pages(client, name, arguments):
    """Calls a tool and every call that it names as the next one. Counts the calls."""
    calls = 0
    while True:
        result = await client.call_tool(name, arguments)
        calls += 1
        assert not result.is_error, f"{name} {arguments}: {result.content}"
        assert result.content[0].text, f"{name}: no text"
        following = result.structured_content.get("next")
        if following is None:
            return calls
        name, arguments = following["tool"], following["arguments"]


async def check(mode):
    http = create_mcp_http_client(headers={"Authorization": f"Bearer {KEY}"})
    async with http, Client(streamable_http_client(URL, http_client=http), mode=mode) as client:
        listed = await client.list_tools()
        names = {tool.name for tool in listed.tools}
        assert names == TOOLS.keys() and listed.next_cursor is None, listed
        calls = 0
        for name, arguments in TOOLS.items():
            for detail in ("concise", "detailed"):
                calls += await pages(client, name, {**arguments, "detail": detail})
        refused = await client.call_tool(REFUSED["tool"], REFUSED["arguments"])
        assert refused.is_error and refused.structured_content is None, refused
        assert REFUSED["names"] in refused.content[0].text, refused
        try:
            await client.call_tool(UNLISTED["tool"], {})
        except MCPError as error:
            assert error.error.code == UNLISTED["code"], error
        else:
            raise AssertionError("a tool that is not listed answers")
        templates = await client.list_resource_templates()
        assert len(templates.resource_templates) == CALLS["templates"], templates
        read = await client.read_resource(RESOURCE["uri"])
        assert RESOURCE["names"] in read.contents[0].text, read
        version = client.protocol_version
    print(json.dumps({"mode": mode, "version": version, "tools": len(names), "calls": calls}))
    return version


async def main():
    # By default the client asks for the newest revision and falls back to the handshake.
    versions = {await check("legacy"), await check("auto"), await check("2026-07-28")}
    assert versions == {"2025-11-25", "2026-07-28"}, versions


try:
    asyncio.run(main())
except BaseExceptionGroup as group:
    sys.exit(f"the official client: {group.exceptions}")
except Exception as error:
    sys.exit(f"the official client: {error!r}")
