// The pages that say what did not work. Each has one way on.

export async function refusals(visit) {
  const tenant = await visit.world.tenant("Careful Ltd");
  const page = await visit.signedIn(tenant);

  await page.getByRole("button", { name: "Connect Intercom" }).click();
  await page.locator("#deny button").click();
  await visit.look(page, "denied", "oauth_denied");
  // It starts again by one button.
  await page.locator("main button, main a.button").first().click();
  await page.locator("#deny").waitFor();

  await page.goto(`${visit.world.base}/oauth/intercom/callback?code=nothing&state=nothing`);
  await visit.look(page, "unknown-flow", "oauth_state_unknown");

  await page.goto(`${visit.world.base}/integrations/intercom/nothing/disconnect`);
  await visit.look(page, "not-found", "not_found");

  await page.goto(`${visit.world.base}/integrations`);
  await page.locator("input[name=form_token]").first().evaluate((field) => { field.value = "nothing"; });
  await page.getByRole("button", { name: "Sign out" }).click();
  await visit.look(page, "stale-form", "stale_form");

  const link = await visit.world.rest("POST", "/v1/integrations/intercom/connect", tenant, {});
  const stranger = await visit.page();
  await stranger.goto(link.start_url);
  await visit.look(stranger, "start", "oauth_start");
  await stranger.goto(`${link.start_url}x`);
  await visit.look(stranger, "start-unknown", "oauth_start_unknown");
}
