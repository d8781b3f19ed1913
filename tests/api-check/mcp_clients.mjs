// The official clients in JavaScript call the tools of the running API, as mcp_client.py does in Python.
//
// `sdk` is the older one, which many programs have, and `client` is its successor. Both compare each structured content
// with the tool's schema. Ends with a line for each client and revision, or with the first fault.

import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as SdkClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as SdkTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const address = new URL(process.env.URL);
const requestInit = { headers: { Authorization: `Bearer ${process.env.KEY}` } };
const calls = JSON.parse(process.env.CALLS);
const self = { name: "api-check", version: "1" };

// Calls a tool and every call that it names as the next one. Counts the calls.
async function pages(client, name, args) {
  for (let count = 1; ; count += 1) {
    const result = await client.callTool({ name, arguments: args });
    const shown = JSON.stringify(result).slice(0, 600);
    assert(!result.isError, `${name} ${JSON.stringify(args)}: ${shown}`);
    assert(result.content[0].text, `${name}: no text`);
    const { next } = result.structuredContent;
    if (next === undefined) return count;
    ({ tool: name, arguments: args } = next);
  }
}

async function check(kind, client, transport, version) {
  await client.connect(transport);
  const listed = await client.listTools();
  const names = listed.tools.map((tool) => tool.name).sort();
  assert.deepEqual(names, Object.keys(calls.tools).sort());
  assert.equal(listed.nextCursor, undefined);
  let count = 0;
  for (const [name, args] of Object.entries(calls.tools)) {
    for (const detail of ["concise", "detailed"]) {
      count += await pages(client, name, { ...args, detail });
    }
  }
  const { refused, unlisted, resource } = calls;
  const refusal = await client.callTool({ name: refused.tool, arguments: refused.arguments });
  assert(refusal.isError && refusal.structuredContent === undefined, JSON.stringify(refusal));
  assert(refusal.content[0].text.includes(refused.names), JSON.stringify(refusal));
  await assert.rejects(client.callTool({ name: unlisted.tool, arguments: {} }), { code: unlisted.code });
  const templates = await client.listResourceTemplates();
  assert.equal(templates.resourceTemplates.length, calls.templates);
  const read = await client.readResource({ uri: resource.uri });
  assert(read.contents[0].text.includes(resource.names), JSON.stringify(read));
  assert.equal(client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion, version);
  await client.close();
  console.log(JSON.stringify({ client: kind, version, tools: names.length, calls: count }));
}

try {
  await check("sdk", new SdkClient(self), new SdkTransport(address, { requestInit }), "2025-11-25");
  for (const [mode, version] of [
    ["legacy", "2025-11-25"],
    ["auto", "2026-07-28"],
    [{ pin: "2026-07-28" }, "2026-07-28"],
  ]) {
    const client = new Client(self, { versionNegotiation: { mode } });
    const transport = new StreamableHTTPClientTransport(address, { requestInit });
    await check("client", client, transport, version);
  }
} catch (error) {
  console.error(`the official clients in JavaScript: ${error.stack ?? error}`);
  process.exit(1);
}
