// The same in a browser without script.

import { until } from "../world.mjs";

export async function scriptless(visit) {
  const tenant = await visit.world.tenant("No Script");
  const page = await visit.signedIn(tenant, { script: false });
  await visit.connect(page, tenant.workspace);
  visit.expect((await page.getByRole("button", { name: "Pause live updates" }).count()) === 0, "a switch without a function is shown");
  await until("a reload shows a complete copy", async () => {
    await page.reload();
    const isIdle = await page.getByRole("button", { name: "Sync now" }).count();
    return isIdle && (await visit.state(page)) === "up_to_date";
  });
  await page.getByRole("button", { name: "Sync now" }).click();
  await page.getByRole("link", { name: "See the sync that was asked for" }).or(page.getByText("Changes, asked for")).first().waitFor();
  await page.getByRole("link", { name: "Disconnect" }).click();
  await page.getByRole("button", { name: "Disconnect and keep the data" }).click();
  await page.waitForURL("**/integrations?intercom=disconnected");
  visit.expect((await visit.state(page)) === "disconnected", "the connection is not shown as disconnected");
}
