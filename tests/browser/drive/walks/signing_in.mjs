// The way in, and the links that do not lead in.

export async function signingIn(visit) {
  const tenant = await visit.world.tenant("Doors and Keys");
  const stranger = await visit.page();
  await stranger.goto(`${visit.world.base}/integrations`);
  await visit.look(stranger, "sign-in-required", "sign_in_required");

  const page = await visit.page();
  const link = await visit.world.link(tenant);
  await page.goto(link);
  await visit.look(page, "sign-in", "sign_in");
  // A preview of the link has not spent it.
  await page.reload();
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/integrations");
  await page.goto(link);
  await visit.look(page, "sign-in-link-used", "sign_in_link_used");
  await page.goto(`${visit.world.base}/sign-in?link=nothing`);
  await visit.look(page, "sign-in-link-unknown", "sign_in_link_unknown");

  await page.goto(`${visit.world.base}/integrations`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await visit.look(page, "signed-out", "signed_out");
  await page.goto(`${visit.world.base}/integrations`);
  visit.expect((await page.locator("body").getAttribute("data-code")) === "sign_in_required", "signing out does not end the session");
}
