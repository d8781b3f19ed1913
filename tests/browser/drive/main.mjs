// Walks through the pages, and writes what was found to `report.json`.

import { writeFile } from "node:fs/promises";
import { chromium } from "playwright-core";

import { checkHtml } from "./html.mjs";
import { Judge } from "./judge.mjs";
import { measure } from "./lighthouse.mjs";
import { pictures } from "./pictures.mjs";
import { Visit } from "./visit.mjs";
import { World } from "./world.mjs";
import { connecting } from "./walks/connecting.mjs";
import { keyboard } from "./walks/keyboard.mjs";
import { operating } from "./walks/operating.mjs";
import { profiles } from "./walks/profiles.mjs";
import { proxied } from "./walks/proxied.mjs";
import { refusals } from "./walks/refusals.mjs";
import { scriptless } from "./walks/scriptless.mjs";
import { signingIn } from "./walks/signing_in.mjs";
import { troubles } from "./walks/troubles.mjs";

const WALKS = { signingIn, connecting, profiles, troubles, refusals, keyboard, scriptless, operating, proxied };

const { CHROMIUM, OUT, PICTURES, RENEW, SHORT } = process.env;
const wanted = process.argv[2] ?? "";

// Containers have a small /dev/shm and no user namespaces.
const ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"];

const world = new World();
const behindProxy = new World("PROXIED_");
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
const judge = new Judge([world, behindProxy].flatMap(({ base, ops }) => (base ? [base, ops] : [])), OUT, Boolean(SHORT));
try {
  for (const [name, walk] of Object.entries(WALKS)) {
    if (!name.startsWith(wanted)) continue;
    if (name === "proxied" && !behindProxy.isThere) {
      judge.skip("no page is looked at behind a proxy, because there is no nginx");
      continue;
    }
    const visit = new Visit(browser, name === "proxied" ? behindProxy : world, judge, name);
    try {
      await walk(visit);
      judge.walked();
    } catch (error) {
      judge.fail(name, `the walk did not come to its end: ${error.message}`);
      await visit.lastLook();
    } finally {
      await visit.end();
    }
  }
} finally {
  await browser.close();
}
await checkHtml(judge);
await pictures(judge, PICTURES, Boolean(RENEW));
const lighthouse = SHORT || wanted ? [] : await measure(judge, world, CHROMIUM, ARGUMENTS);
await writeFile(`${OUT}/report.json`, JSON.stringify({ ...(await judge.report()), lighthouse }, null, 2));
