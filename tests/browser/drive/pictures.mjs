// The pictures of the README. Each is kept with a digest of the page that it shows, so that a run can tell whether it is
// of today's pages.

import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";

// States of pages, by the names that the walks give them.
const SHOWN = ["up-to-date", "contact-of-two-sources"];
const THEMES = ["light", "dark"];

// What is another in every run.
const VARYING = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "{id}"],
  // Ids of Intercom begin with a time.
  [/\b[0-9a-f]{24}\b/g, "{id}"],
  [/\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC/g, "{time}"],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "{time}"],
  [/(less than a minute|\d+ (minute|hour|day)s?) ago/g, "{ago}"],
  [/It took (less than a minute|up to \d+ \w+)/g, "It took {span}"],
  [/name="form_token" value="[^"]*"/g, "{token}"],
  [/http:\/\/127\.0\.0\.1:\d+/g, "{host}"],
];

// A digest of what a page shows, which is the same in every run of one build. The addresses of style and script hold
// digests of their own.
export async function digest(page) {
  const html = await page.content();
  const steady = VARYING.reduce((text, [varying, name]) => text.replaceAll(varying, name), html);
  return createHash("sha256").update(steady).digest("hex").slice(0, 32);
}

// Compares the kept pictures with what was seen, or keeps new ones. Those of pages that were not seen stay.
export async function pictures(judge, folder, renew) {
  const list = `${folder}/pages.json`;
  const kept = JSON.parse(await readFile(list, "utf8").catch(() => "{}"));
  await mkdir(folder, { recursive: true });
  for (const state of SHOWN) {
    const seen = judge.digests.get(state);
    if (!seen) continue;
    if (renew) {
      kept[state] = seen;
      for (const theme of THEMES) {
        const name = `${state}-${theme}.png`;
        await copyFile(`${judge.out}/pictures/${name}`, `${folder}/${name}`);
      }
    } else if (kept[state] !== seen) {
      judge.fail(state, "the picture in the README is of another page, so renew it by `make browser ARGS=--pictures`");
    }
  }
  if (renew) await writeFile(list, `${JSON.stringify(kept, null, 2)}\n`);
}
