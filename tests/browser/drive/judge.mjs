// What every page has to be: readable for all, at each width and in both themes, without a word from the console.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { PLAIN, firstPaint } from "./paint.mjs";
import { digest } from "./pictures.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const PHONE = { width: 360, height: 740 };

export class Judge {
  #ours;
  #out;
  #isShort;
  #failures = [];
  #skipped = [];
  #pages = new Set();
  #states = new Set();
  #assets = new Map();
  #documents = new WeakMap();
  #axe = 0;
  #walks = 0;
  #paints = {};
  // HTML as it was sent, by the name of the state.
  html = new Map();
  // Of the pages that the README shows and of all others, by the name of the state.
  digests = new Map();

  // `ours` is where our pages are.
  constructor(ours, out, isShort) {
    this.#ours = ours;
    this.#out = out;
    this.#isShort = isShort;
  }

  get out() {
    return this.#out;
  }

  fail(where, sentence) {
    const failure = `${where}: ${sentence}`;
    console.error(failure);
    this.#failures.push(failure);
  }

  // A walk has come to its end.
  walked() {
    this.#walks += 1;
  }

  skip(sentence) {
    this.#skipped.push(sentence);
  }

  // Notes what a page loads, and whatever its console says.
  listen(page, where) {
    page.on("pageerror", (error) => this.fail(where, `a script of ${page.url()} failed: ${error.message}`));
    page.on("console", (message) => {
      // What the simulated Intercom shows is not ours.
      if (!this.#ours.some((base) => page.url().startsWith(base))) return;
      // A page that refuses is no fault, and the console tells of each.
      const isRefusal = message.text().startsWith("Failed to load resource") && message.location().url === page.url();
      if (["error", "warning"].includes(message.type()) && !isRefusal)
        this.fail(where, `the console of ${page.url()} says: ${message.text()}`);
    });
    page.on("response", (response) => {
      const kind = response.request().resourceType();
      if (kind === "document" && response.frame() === page.mainFrame())
        this.#documents.set(page, { url: response.url(), text: response.text().catch(() => "") });
      if (kind === "script" || kind === "stylesheet")
        this.#assets.set(new URL(response.url()).pathname, { kind, body: response.body().catch(() => Buffer.alloc(0)) });
    });
  }

  // Judges a page in one of its states.
  async look(page, state, code) {
    if (this.#states.has(state)) throw new Error(`two states are called ${state}`);
    this.#states.add(state);
    this.#pages.add(new URL(page.url()).pathname.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "{id}"));
    const sent = this.#documents.get(page);
    if (sent) this.html.set(state, await sent.text);
    const found = await page.locator("body").getAttribute("data-code");
    if (found !== code) this.fail(state, `the page is ${found} and not ${code}`);
    await this.#headings(page, state);
    this.digests.set(state, await digest(page));
    // A page that changes while it is judged cannot be judged.
    const live = (url) => url.pathname.endsWith("/live");
    await page.route(live, (route) => route.fulfill({ status: 304 }));
    for (const theme of this.#isShort ? ["light"] : ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: theme });
      await this.picture(page, `${state}-${theme}`);
      await this.#accessible(page, `${state} in the ${theme} theme`);
      await this.#touched(page, `${state} in the ${theme} theme`);
    }
    await page.emulateMedia({ colorScheme: "light" });
    await this.#narrow(page, state);
    await page.unroute(live);
    if (!this.#isShort) await this.#paint(page, state, code);
  }

  // What a load of the page takes, and what a page that costs nothing takes at that time.
  async #paint(page, state, code) {
    const time = await firstPaint(page.context(), page.url(), code);
    if (time) this.#paints[state] = { page: time, plain: await firstPaint(page.context(), PLAIN) };
  }

  async picture(page, name) {
    await mkdir(`${this.#out}/pictures`, { recursive: true });
    await page.screenshot({ path: `${this.#out}/pictures/${name}.png`, fullPage: true }).catch(() => {});
  }

  // One heading of the first level, and a title that says more than the product's name.
  async #headings(page, state) {
    const { firsts, title } = await page.evaluate(() => ({
      firsts: document.querySelectorAll("h1").length,
      title: document.title,
    }));
    if (firsts !== 1) this.fail(state, `it has ${firsts} headings of the first level`);
    if (!title.endsWith(" · Pathbound")) this.fail(state, `its title is ${JSON.stringify(title)}`);
  }

  // What axe finds, and contrasts that it could not judge.
  async #accessible(page, where, within = undefined) {
    // A policy that forbids scripts holds for the page, and not for what the debugger evaluates.
    await page.evaluate(AXE);
    const runOnly = within ? ["color-contrast"] : TAGS;
    const found = await page.evaluate(
      ([selector, only]) =>
        axe.run(selector ?? document, {
          runOnly: { type: selector ? "rule" : "tag", values: only },
          resultTypes: ["violations", "incomplete"],
        }),
      [within, runOnly],
    );
    const unclear = found.incomplete.filter(({ id }) => id === "color-contrast");
    for (const { id, help, nodes } of [...found.violations, ...unclear]) {
      this.#axe += 1;
      this.fail(where, `axe finds ${id} (${help}): ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
    }
  }

  // What can be pressed keeps its contrast under the pointer and in focus, and shows that it has the focus.
  async #touched(page, where) {
    if (this.#isShort) return;
    const count = await page.evaluate(() => {
      const all = [...document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select")];
      const seen = all.filter((element) => element.checkVisibility() && !element.matches(".skip"));
      seen.forEach((element, number) => element.setAttribute("data-touched", number));
      return seen.length;
    });
    // Pages repeat their rows, and each row has the same kinds.
    for (let number = 0; number < Math.min(count, 12); number += 1) {
      const selector = `[data-touched="${number}"]`;
      const element = page.locator(selector);
      await element.hover({ timeout: 2000 }).catch(() => {});
      await this.#accessible(page, `${where}, under the pointer`, selector);
      await element.focus();
      await page.keyboard.press("Shift");
      const hasRing = await element.evaluate((focused) => {
        focused.blur();
        focused.focus({ focusVisible: true });
        const { outlineStyle, outlineWidth } = getComputedStyle(focused);
        return outlineStyle !== "none" && outlineWidth !== "0px";
      });
      if (!hasRing) this.fail(where, `nothing shows that ${await element.evaluate((e) => e.outerHTML.slice(0, 120))} has the focus`);
      await this.#accessible(page, `${where}, in focus`, selector);
    }
    await page.evaluate(() => {
      document.activeElement?.blur();
      document.querySelectorAll("[data-touched]").forEach((element) => element.removeAttribute("data-touched"));
    });
    await page.mouse.move(0, 0);
  }

  // On a phone nothing has to be moved sideways, and each button has room for a finger.
  async #narrow(page, state) {
    const wide = page.viewportSize();
    await page.setViewportSize(PHONE);
    const { beyond, small } = await page.evaluate(() => {
      const width = document.documentElement.clientWidth;
      const visible = [...document.querySelectorAll("main *")].filter((element) => element.checkVisibility());
      const isBeyond = (element) => {
        const { right, left } = element.getBoundingClientRect();
        return right > width + 1 && left >= 0;
      };
      const isSmall = (element) => element.getBoundingClientRect().height < 24;
      const name = (element) => element.outerHTML.slice(0, 120);
      return {
        beyond: visible.filter(isBeyond).slice(0, 3).map(name),
        small: visible.filter((e) => e.matches("button, .button, summary, select") && isSmall(e)).map(name),
      };
    });
    for (const html of beyond) this.fail(state, `on a phone it is too wide: ${html}`);
    for (const html of small) this.fail(state, `on a phone it is too small to press: ${html}`);
    if (!this.#isShort) await this.picture(page, `${state}-phone`);
    await page.setViewportSize(wide);
  }

  async #bytes(wanted) {
    let bytes = 0;
    for (const { kind, body } of this.#assets.values()) if (kind === wanted) bytes += (await body).length;
    return bytes;
  }

  async report() {
    const [script, style] = [await this.#bytes("script"), await this.#bytes("stylesheet")];
    if (script > 60_000) this.fail("all pages", `${script} bytes of script are more than 60,000`);
    if (style > 30_000) this.fail("all pages", `${style} bytes of style are more than 30,000`);
    return {
      walks: this.#walks,
      pages: this.#pages.size,
      states: this.#states.size,
      failures: this.#failures,
      axe_violations: this.#axe,
      script_bytes: script,
      style_bytes: style,
      skipped: this.#skipped,
      // From the start of a load, on this machine.
      first_contentful_paint_ms: this.#paints,
    };
  }

  // Keeps the HTML of all states for the checker. Returns the folder.
  async keepHtml() {
    const folder = `${this.#out}/html`;
    await mkdir(folder, { recursive: true });
    for (const [state, html] of this.html) await writeFile(`${folder}/${state}.html`, html);
    return folder;
  }
}
