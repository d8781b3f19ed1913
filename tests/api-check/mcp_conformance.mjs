// The protocol's conformance suite against the tools of the running API, for both revisions that most clients speak.
//
// The suite sends no key. A relay on this machine adds one and passes on everything else as it is, Host and Origin too.
// `conformance.yaml` lists the checks that do not apply. Ends with a line for each revision, or with the suite's own words.

import { spawn } from "node:child_process";
import http from "node:http";

const { URL: address, KEY, EXCEPTIONS, RESULTS } = process.env;
const suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js";

function relay() {
  const server = http.createServer((asked, answer) => {
    const headers = { ...asked.headers, authorization: `Bearer ${KEY}` };
    const passed = http.request(address, { method: asked.method, path: asked.url, headers }, (answered) => {
      answer.writeHead(answered.statusCode, answered.headers);
      answered.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

// The status of the suite, and what it says without its colours.
function run(url, revision) {
  const listed = ["--requirements", revision, "--expected-failures", EXCEPTIONS, "--output-dir", RESULTS];
  const running = spawn(process.execPath, [suite, "server", "--url", url, ...listed]);
  let said = "";
  for (const stream of [running.stdout, running.stderr]) stream.on("data", (bytes) => (said += bytes));
  return new Promise((resolve, reject) => {
    running.on("error", reject);
    running.on("close", (status) => resolve({ status, said: said.replace(/\x1b\[[0-9;]*m/g, "") }));
  });
}

const server = await relay();
const url = `http://127.0.0.1:${server.address().port}/mcp`;
let isGood = true;
for (const revision of ["2025-11-25", "2026-07-28"]) {
  const { status, said } = await run(url, revision);
  const [, passed] = said.match(/^Total: (\d+) passed/m) ?? [];
  // A suite that ran nothing would have nothing to fail.
  const isWell = status === 0 && Number(passed) > 30;
  console.log(isWell ? JSON.stringify({ conformance: revision, passed: Number(passed) }) : said);
  isGood &&= isWell;
}
server.close();
process.exitCode = isGood ? 0 : 1;
