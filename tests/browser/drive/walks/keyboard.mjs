// A connection without a mouse.

const STEPS = 60;

export async function keyboard(visit) {
  const tenant = await visit.world.tenant("Keys Only");
  const page = await visit.page();
  await page.goto(await visit.world.link(tenant));
  await press(page, "Sign in");
  await page.waitForURL("**/integrations");

  await page.keyboard.press("Tab");
  const first = await focused(page);
  visit.expect(first === "Skip to content", `the first stop is ${JSON.stringify(first)}`);
  await page.keyboard.press("Enter");
  await press(page, "Connect Intercom");
  await page.locator("#deny").waitFor();
  await press(page, `Connect ${tenant.workspace.name} (${tenant.workspace.id})`);
  await page.waitForURL("**/integrations?intercom=connected");
  await visit.world.untilComplete(tenant);
  await page.goto(`${visit.world.base}/integrations`);

  await press(page, "Disconnect");
  await page.waitForURL("**/disconnect");
  const onLoad = await focused(page);
  visit.expect(!/disconnect|delete/i.test(onLoad), `the page of the disconnect opens with the focus on ${onLoad}`);
  await press(page, "Disconnect and keep the data");
  await page.waitForURL("**/integrations?intercom=disconnected");
}

function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    return element === document.body ? "" : element.textContent.trim();
  });
}

// Goes on with Tab until a control has the focus, and presses Enter.
async function press(page, name) {
  for (let step = 0; step < STEPS; step += 1) {
    if ((await focused(page)) === name) return page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
  }
  throw new Error(`the keyboard does not reach ${name}`);
}
