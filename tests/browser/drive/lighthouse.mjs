// Lighthouse, over the pages that a signed-in person sees first.

import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import lighthouse from "lighthouse";
import { chromium } from "playwright-core";

const CATEGORIES = ["accessibility", "best-practices", "performance"];

export async function measure(judge, world, executablePath, args) {
  const tenant = await world.tenant("Lighthouse");
  const folder = await mkdtemp(`${tmpdir()}/lighthouse-`);
  const port = await freePort();
  // Lighthouse opens a tab of its own, which shares the cookies of a browser that keeps its profile.
  const context = await chromium.launchPersistentContext(folder, {
    executablePath,
    args: [...args, `--remote-debugging-port=${port}`],
  });
  const scores = [];
  try {
    const page = await context.newPage();
    await page.goto(await world.link(tenant));
    await page.getByRole("button", { name: "Sign in" }).click();
    for (const path of ["/integrations", "/contacts"]) {
      const flags = { port, onlyCategories: CATEGORIES, disableStorageReset: true, logLevel: "error" };
      const { lhr } = await lighthouse(`${world.base}${path}`, flags);
      const score = { path };
      for (const category of Object.values(lhr.categories)) {
        score[category.id] = Math.round(category.score * 100);
        if (category.score < 1) judge.fail(path, `Lighthouse gives ${score[category.id]} for ${category.id}: ${lost(lhr, category)}`);
      }
      scores.push(score);
    }
  } finally {
    await context.close();
    await rm(folder, { recursive: true, force: true });
  }
  return scores;
}

// The audits that cost points.
function lost(lhr, category) {
  const audits = category.auditRefs.filter(({ weight }) => weight > 0).map(({ id }) => lhr.audits[id]);
  return audits.filter(({ score }) => score !== null && score < 1).map(({ title }) => title).join(", ");
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
