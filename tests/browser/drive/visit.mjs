// One person with a browser.

const VIEW = { width: 1100, height: 900 };

export class Visit {
  #browser;
  #contexts = [];

  constructor(browser, world, judge, name) {
    this.#browser = browser;
    this.world = world;
    this.judge = judge;
    this.name = name;
  }

  // A page in a browser of its own, without cookies. News that comes while a page is judged would change it, so that a
  // page has streams of news only if its walk asks for them.
  async page({ script = true, streams = false } = {}) {
    // An authority that only this run knows has signed for the proxy.
    const context = await this.#browser.newContext({ viewport: VIEW, javaScriptEnabled: script, ignoreHTTPSErrors: true });
    this.#contexts.push(context);
    if (!streams) await context.route("**/live/stream", (route) => route.fulfill({ status: 204 }));
    return this.tab(context);
  }

  // One more tab of the same browser.
  async tab(context) {
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    this.judge.listen(page, this.name);
    return page;
  }

  // A page that is signed in to a tenant, as the product backend lets a person in.
  async signedIn(tenant, { returnTo, ...options } = {}) {
    const page = await this.page(options);
    await page.goto(await this.world.link(tenant, returnTo));
    await page.getByRole("button", { name: "Sign in" }).click();
    return page;
  }

  // From the page of integrations through Intercom and back.
  async connect(page, workspace, button = "Connect Intercom") {
    await page.getByRole("button", { name: button }).first().click();
    await this.consent(page, workspace);
  }

  // Allows it at Intercom.
  async consent(page, workspace) {
    await page.locator(`form[data-workspace="${workspace.id}"] button`).click();
    await page.waitForURL(`${this.world.base}/**`);
  }

  // Does what leads to another page, or to the same one again, and waits until it is there.
  async follow(page, act) {
    const moved = page.waitForEvent("framenavigated", (frame) => frame === page.mainFrame());
    await act();
    await moved;
    await page.waitForLoadState();
  }

  // Presses a button or a link that leads on.
  press(page, control) {
    return this.follow(page, () => control.click());
  }

  // Judges the page as it is. Its code says that it is the one that is meant.
  look(page, state, code) {
    return this.judge.look(page, state, code);
  }

  expect(condition, sentence) {
    if (!condition) this.judge.fail(this.name, sentence);
  }

  // The state of the only connection that the page shows.
  state(page) {
    return page.locator('section[id^="connection-"]').first().getAttribute("data-state");
  }

  // What a walk saw last before it got lost.
  async lastLook() {
    for (const [number, context] of this.#contexts.entries()) {
      for (const page of context.pages()) await this.judge.picture(page, `lost-${this.name}-${number}`);
    }
  }

  async end() {
    for (const context of this.#contexts) await context.close();
  }
}
