// How soon a page shows something.

const LOADS = 7;
// A page that costs nothing, for comparison.
export const PLAIN = "data:text/html,<!doctype html><title>x</title><h1>x</h1>";

const PAINTED = () =>
  new Promise((painted) => {
    const seen = (entries) => entries.find(({ name }) => name === "first-contentful-paint")?.startTime;
    const known = seen(performance.getEntriesByType("paint"));
    if (known) return painted(known);
    const observer = new PerformanceObserver((list) => {
      const time = seen(list.getEntries());
      if (time) painted(time);
    });
    observer.observe({ type: "paint", buffered: true });
    setTimeout(() => painted(undefined), 2000);
  });

// Milliseconds from the start of a load of this address to the first content, the median of some loads, because a busy
// machine delays one or the other. `undefined` if the address shows another page than `code` by now, as that of a
// form's answer does.
export async function firstPaint(context, url, code) {
  // A context of its own with the same cookies: in one that intercepts requests, each of them waits for this process.
  const storageState = await context.storageState();
  const own = await context.browser().newContext({ storageState, ignoreHTTPSErrors: true });
  const page = await own.newPage();
  const times = [];
  try {
    for (let load = 0; load < LOADS; load += 1) {
      await page.goto("about:blank");
      await page.goto(url);
      if (code && (await page.locator("body").getAttribute("data-code")) !== code) return undefined;
      times.push(await page.evaluate(PAINTED));
    }
  } finally {
    await own.close();
  }
  return Math.round(times.sort((one, other) => one - other)[Math.floor(LOADS / 2)]);
}
