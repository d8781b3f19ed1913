// The whole life of a connection, without one reload by hand.

import { until } from "../world.mjs";

export async function connecting(visit) {
  const tenant = await visit.world.tenant("Anna's Flowers");
  const page = await visit.signedIn(tenant);
  await visit.look(page, "not-connected", "integrations");

  const release = await visit.world.hold(tenant.workspace, "list_contacts");
  await visit.connect(page, tenant.workspace);
  visit.expect(page.url().endsWith("/integrations?intercom=connected"), `the way back ends at ${page.url()}`);
  visit.expect((await visit.state(page)) === "first_sync", "a new connection is not in its first sync");
  await visit.look(page, "first-sync", "integrations");
  await release();
  // The page finds out by itself.
  await until("the page shows a complete copy", async () => (await visit.state(page)) === "up_to_date");
  const news = await page.locator("#live-news").textContent();
  // A copy can be complete a moment before its run has ended.
  await page.getByRole("button", { name: "Sync now" }).waitFor();
  visit.expect(news.includes("Up to date"), `the change of health is not read out: ${JSON.stringify(news)}`);
  await visit.look(page, "up-to-date", "integrations");

  const again = await visit.world.hold(tenant.workspace, "list_contacts");
  await page.getByRole("button", { name: "Read everything again" }).click();
  await page.getByRole("link", { name: "See the sync that was asked for" }).click();
  visit.expect(/#run-/.test(page.url()), "the button does not lead to its run");
  visit.expect((await visit.state(page)) === "up_to_date", "a sync that begins changes the health");
  await visit.look(page, "resync", "integrations");
  await again();

  await page.getByRole("button", { name: "Pause live updates" }).click();
  await visit.look(page, "paused", "integrations");
  await page.getByRole("button", { name: "Go on with live updates" }).click();
  await page.getByRole("link", { name: "See the sync that was asked for" }).waitFor({ state: "detached" });

  await page.getByRole("link", { name: "Disconnect" }).click();
  await page.waitForURL("**/disconnect");
  await visit.look(page, "disconnect", "disconnect");
  await page.getByRole("button", { name: "Disconnect and keep the data" }).click();
  await page.waitForURL("**/integrations?intercom=disconnected");
  visit.expect((await visit.state(page)) === "disconnected", "the connection is not shown as disconnected");
  await visit.look(page, "disconnected", "integrations");

  await page.getByRole("link", { name: "Delete its data" }).click();
  await page.waitForURL("**/disconnect");
  await visit.look(page, "delete", "disconnect");
  await page.getByRole("textbox").fill("another name");
  await page.getByRole("button", { name: /[Dd]elete/ }).click();
  await visit.look(page, "name-differs", "name_differs");
  await page.getByRole("textbox").fill(tenant.workspace.name);
  await page.getByRole("button", { name: /[Dd]elete/ }).click();
  await page.waitForURL("**/integrations?intercom=deleting");
  await visit.look(page, "deleting", "integrations");
}
