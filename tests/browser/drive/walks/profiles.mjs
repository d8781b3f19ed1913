// A person finds another one, and reads what was said. A thread fills in while it is looked at.

import { until } from "../world.mjs";

export async function profiles(visit) {
  const tenant = await visit.world.tenant("Reading Room", { contacts: 70, conversations: 12 });
  const page = await visit.signedIn(tenant, { returnTo: "/contacts" });
  await visit.look(page, "no-contacts-yet", "contacts");

  const release = await visit.world.hold(tenant.workspace, "get_conversation");
  await page.goto(`${visit.world.base}/integrations`);
  await visit.connect(page, tenant.workspace);
  await until("conversations are stored", async () => {
    const { items } = await visit.world.rest("GET", "/v1/conversations?limit=1", tenant);
    return items[0]?.contact_ids.length;
  });
  await until("all contacts are stored", async () => {
    const { items } = await visit.world.rest("GET", "/v1/contacts?limit=200", tenant);
    return items.length >= 70;
  });
  await other(visit, tenant);
  const { items } = await visit.world.rest("GET", "/v1/conversations", tenant);
  const waiting = items.find(({ contact_ids, thread }) => contact_ids.length > 0 && thread.status === "pending");
  visit.expect(waiting, "no thread waits, although none can be read");
  const path = `/contacts/${waiting.contact_ids[0]}`;
  await page.goto(`${visit.world.base}${path}`);
  await visit.look(page, "contact-waiting", "contact");
  visit.expect(await page.getByText("being fetched").count(), "nothing says that a thread is waiting");

  await release();
  await visit.world.untilComplete(tenant);
  await page.reload();
  await visit.look(page, "contact", "contact");
  await page.locator('main a[href*="/conversations/"]').first().click();
  await visit.look(page, "thread", "conversation");
  visit.expect(await page.getByText("are here.").count(), "nothing says how much of the thread is here");

  await page.getByRole("link", { name: "Contacts", exact: true }).click();
  await visit.look(page, "contacts", "contacts");
  await page.getByRole("link", { name: "Older contacts" }).click();
  await visit.look(page, "older-contacts", "contacts");
  await search(visit, tenant, page);

  const companies = await visit.world.rest("GET", "/v1/companies", tenant);
  await page.goto(`${visit.world.base}/companies/${companies.items[0].id}`);
  await visit.look(page, "company", "company");
  await page.goto(`${visit.world.base}/contacts/00000000-0000-4000-8000-000000000000`);
  await visit.look(page, "no-such-contact", "not_found");
}

// A CRM knows one of the people as well: the first one with an address who has written, so the same in every run.
async function other(visit, tenant) {
  const { items } = await visit.world.rest("GET", "/v1/conversations", tenant);
  const inOrder = items.toSorted((a, b) => a.source_id.localeCompare(b.source_id));
  for (const { contact_ids } of inOrder) {
    const found = contact_ids[0] && (await visit.world.rest("GET", `/v1/contacts/${contact_ids[0]}`, tenant));
    if (!found?.email) continue;
    const fields = { email: found.email, name: "Ana Pereira", phone: "+351211234567", attributes: { stage: "customer" } };
    const record = { source_id: "crm-1", source_updated_at: new Date().toISOString(), fields };
    return visit.world.rest("POST", "/v1/sources/crm/records", tenant, { object: "contact", records: [record] });
  }
  throw new Error("no contact with an address has written");
}

async function search(visit, tenant, page) {
  await page.goto(`${visit.world.base}/contacts`);
  await page.getByRole("searchbox").fill("pereira");
  await until("the record is found", async () => {
    await page.keyboard.press("Enter");
    await page.waitForURL("**/contacts?q=*");
    const found = await page.locator('main a[href^="/contacts/"]').count();
    if (!found) await page.getByRole("searchbox").focus();
    return found;
  });
  await visit.look(page, "found", "search");
  await page.locator('main a[href^="/contacts/"]').filter({ hasText: "Ana Pereira" }).click();
  await visit.look(page, "contact-of-two-sources", "contact");
  visit.expect((await page.locator(".records li").count()) === 2, "the CRM's record is not part of the contact");
  await page.goto(`${visit.world.base}/contacts?q=nobody-has-this-name`);
  await visit.look(page, "nothing-found", "search");
}
