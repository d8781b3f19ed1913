// The checker of HTML of the W3C, over everything that was sent.

import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname } from "node:path";

// Customers' words are shown as they were written.
const THEIRS = /^Text run is not in Unicode Normalization Form C/;

const JAR = `${dirname(createRequire(import.meta.url).resolve("vnu-jar/package.json"))}/build/dist/vnu.jar`;

export async function checkHtml(judge) {
  const folder = await judge.keepHtml();
  const [failed, said] = await new Promise((resolve) => {
    const options = ["-jar", JAR, "--stdout", "--format", "json", "--Werror", folder];
    execFile("java", options, { maxBuffer: 1 << 26 }, (error, stdout) => resolve([error, stdout]));
  });
  if (failed?.code === "ENOENT") return judge.skip("the HTML is NOT checked, because there is no Java");
  let messages;
  try {
    ({ messages } = JSON.parse(said));
  } catch {
    return judge.fail("the HTML", `the checker gave no list: ${failed?.message}`);
  }
  const seen = new Set();
  for (const { url, message, lastLine, extract } of messages) {
    if (THEIRS.test(message)) continue;
    const state = url.split("/").pop().replace(".html", "");
    const fault = `${message} ${extract ?? ""}`;
    if (seen.has(fault)) continue;
    seen.add(fault);
    judge.fail(state, `its HTML is not valid in line ${lastLine}: ${fault}`);
  }
}
