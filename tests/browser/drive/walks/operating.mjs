// A person on call: finds why a tenant waits, retries and drops dead letters, pauses and resumes, and reads who did what.

const { DEAD_END } = process.env;

export async function operating(visit) {
  const tenant = await visit.world.tenant("Waiting Room");
  const customer = await visit.signedIn(tenant);
  await visit.connect(customer, tenant.workspace);
  await visit.world.untilComplete(tenant);

  const page = await visit.page();
  await page.goto(visit.world.ops);
  await visit.look(page, "ops-sign-in", "sign_in_required");
  await page.locator("input[type=password]").fill("not the key");
  await visit.follow(page, () => page.keyboard.press("Enter"));
  await visit.look(page, "ops-wrong-key", "wrong_key");
  await page.goto(visit.world.ops);
  await page.locator("input[type=password]").fill(visit.world.operatorKey);
  await visit.follow(page, () => page.keyboard.press("Enter"));
  await page.locator("#fleet").waitFor();
  await visit.look(page, "ops-overview", "ops_overview");

  await pausing(visit, page, tenant);
  await letters(visit, page);
  for (const [name, state, code] of [["Tickets", "ops-tickets", "ops_jobs"], ["Events", "ops-events", "ops_events"]]) {
    await visit.press(page, page.getByRole("link", { name, exact: true }));
    await visit.look(page, state, code);
  }
  await visit.press(page, page.getByRole("link", { name: "Actions", exact: true }));
  await visit.look(page, "ops-actions", "ops_actions");
  visit.expect(await page.getByText("a walk of the tests").count(), "the reason of a pause is not kept");
  await visit.press(page, page.getByRole("button", { name: "Sign out" }));
  await visit.look(page, "ops-signed-out", "signed_out");
}

async function pausing(visit, page, tenant) {
  await visit.press(page, page.getByRole("link", { name: "Tenants", exact: true }));
  await visit.look(page, "ops-tenants", "ops_tenants");
  await page.locator("#q").fill(tenant.name);
  await visit.press(page, page.getByRole("button", { name: "Search" }));
  await visit.press(page, page.getByRole("link", { name: tenant.name }).first());
  await visit.look(page, "ops-tenant", "ops_tenant");
  await page.getByLabel("Reason").fill("a walk of the tests");
  await visit.press(page, page.getByRole("button", { name: "Pause this tenant" }));
  await page.getByRole("button", { name: "Resume this tenant" }).waitFor();
  visit.expect(await page.getByText("a walk of the tests").count(), "why does not say that an operator has paused it");
  await visit.look(page, "ops-tenant-paused", "ops_tenant");
  await visit.press(page, page.getByRole("button", { name: "Resume this tenant" }));
  await page.getByRole("button", { name: "Pause this tenant" }).waitFor();
}

async function letters(visit, page) {
  await visit.press(page, page.getByRole("link", { name: "Dead letters", exact: true }).first());
  await visit.look(page, "ops-dead", "ops_dead");
  const causes = page.locator("table").filter({ hasText: "Open ones, by their cause" });
  const row = (cause) => causes.locator("tr").filter({ hasText: cause });
  await visit.press(page, row("status 503").getByRole("button", { name: "Retry" }));
  // The page follows the work by itself.
  await page.locator("#bulk[data-state=finished]").waitFor();
  await visit.look(page, "ops-bulk", "ops_bulk");
  await page.goto(`${visit.world.ops}tenants?q=${encodeURIComponent(DEAD_END)}`);
  await visit.press(page, page.getByRole("link", { name: DEAD_END }).first());
  await visit.look(page, "ops-tenant-dead", "ops_tenant");

  await visit.press(page, page.getByRole("link", { name: "Dead letters", exact: true }).first());
  await visit.press(page, row("<b>status</b> 500").getByRole("link", { name: "Drop" }));
  await visit.look(page, "ops-drop", "ops_drop");
  await page.locator("#count").fill("7");
  await visit.press(page, page.locator("button.danger"));
  await visit.look(page, "ops-drop-differs", "count_differs");
  await page.locator("#count").fill("1");
  await visit.press(page, page.locator("button.danger"));
  await page.locator("#bulk[data-state=finished]").waitFor();
  await page.locator("#bulk[data-state=finished]").waitFor();
  await visit.press(page, page.getByRole("link", { name: "Dead letters", exact: true }).first());
  visit.expect((await row("<b>status</b> 500").count()) === 0, "a dropped letter is still listed");
}
