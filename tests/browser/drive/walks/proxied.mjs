// Behind a proxy that ends TLS: the way in, live updates, forms, and ten tabs of one browser that share one stream.

import { until } from "../world.mjs";

// A browser opens six connections to one server. The seventh tab with a stream of its own would wait for ever.
const TABS = 10;

export async function proxied(visit) {
  const tenant = await visit.world.tenant("Behind a Proxy");
  const page = await visit.signedIn(tenant);
  const release = await visit.world.hold(tenant.workspace, "list_contacts");
  await visit.connect(page, tenant.workspace);
  visit.expect((await visit.state(page)) === "first_sync", "a connection behind a proxy is not in its first sync");
  await release();
  await until("the page shows a complete copy", async () => (await visit.state(page)) === "up_to_date");
  await cookies(visit, page, { name: "__Host-pathbound_session", sameSite: "Lax" });
  // A form carries its token and its origin through the proxy.
  await page.getByRole("button", { name: "Sync now" }).click();
  await page.getByRole("link", { name: "See the sync that was asked for" }).waitFor();

  const operator = await visit.page({ streams: true });
  const asked = listening(operator.context());
  await operator.goto(visit.world.ops);
  await operator.locator("input[type=password]").fill(visit.world.operatorKey);
  await visit.follow(operator, () => operator.keyboard.press("Enter"));
  await cookies(visit, operator, { name: "__Host-pathbound_ops", sameSite: "Strict" });
  await tabs(visit, operator, asked);
}

// The session's cookie cannot be had by scripts, by other hosts, or without TLS.
async function cookies(visit, page, { name, sameSite }) {
  const all = await page.context().cookies();
  const cookie = all.find((one) => one.name === name);
  const isGuarded = cookie?.secure && cookie.httpOnly && cookie.path === "/" && cookie.sameSite === sameSite;
  visit.expect(isGuarded, `the cookie ${name} is not guarded: ${JSON.stringify(all)}`);
}

// What the tabs of a browser ask the server for: the tab of each stream, and every look without one.
function listening(context) {
  const [streams, polls] = [[], []];
  context.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname === "/ops/live/stream") streams.push(request.frame().page());
    if (pathname === "/ops/live") polls.push(request);
  });
  return { streams, polls };
}

async function tabs(visit, first, { streams, polls }) {
  const context = first.context();
  const open = [first];
  await until("a tab has a stream", () => streams.length === 1);
  while (open.length < TABS) {
    const tab = await visit.tab(context);
    await tab.goto(visit.world.ops);
    open.push(tab);
  }
  const reason = "ten tabs look on";
  const showing = async (wanted) => {
    const shown = await Promise.all(open.map((tab) => tab.locator("#live").getByText(reason).count()));
    return shown.every((count) => Boolean(count) === wanted);
  };
  await visit.world.operator("POST", "/ops/queues/backfill/pause", { reason });
  await until("every tab shows the pause", () => showing(true));
  visit.expect(streams.length === 1, `ten tabs opened ${streams.length} streams`);
  visit.expect(polls.length === 0, `tabs asked ${polls.length} times although the stream tells`);

  // Another tab takes the stream over.
  const [leader] = streams;
  open.splice(open.indexOf(leader), 1);
  await leader.close();
  await until("another tab has a stream", () => streams.length === 2);
  await visit.world.operator("POST", "/ops/queues/backfill/resume", {});
  await until("no tab shows the pause any more", () => showing(false));

  // A tab that is paused by its switch shows nothing new, and leaves the stream to others.
  const paused = streams[1];
  await paused.getByRole("button", { name: "Pause live updates" }).click();
  await until("a third tab has a stream", () => streams.length === 3);
  open.splice(open.indexOf(paused), 1);
  await visit.world.operator("POST", "/ops/queues/backfill/pause", { reason });
  await until("every other tab shows the pause", () => showing(true));
  visit.expect((await paused.locator("#live").getByText(reason).count()) === 0, "a paused tab shows news");
  await paused.getByRole("button", { name: "Go on with live updates" }).click();
  await paused.locator("#live").getByText(reason).first().waitFor();
  await visit.world.operator("POST", "/ops/queues/backfill/resume", {});
}
