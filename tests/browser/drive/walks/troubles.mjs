// What goes wrong with a workspace, and how its page leads out.

import { until } from "../world.mjs";

export async function troubles(visit) {
  await revoked(visit);
  await restricted(visit);
  await hostile(visit);
}

async function shows(visit, page, state) {
  await until(`the page shows ${state}`, async () => (await visit.state(page)) === state);
}

async function revoked(visit) {
  const tenant = await visit.world.tenant("Revoked Inc");
  const page = await visit.signedIn(tenant);
  await visit.connect(page, tenant.workspace);
  await visit.world.untilComplete(tenant);
  const tokens = `workspaces/${tenant.workspace.id}/tokens`;
  await visit.world.intercom("PUT", tokens, { state: "revoked" });
  const { id } = await visit.world.connection(tenant);
  await visit.world.rest("POST", `/v1/connections/${id}/syncs`, tenant, { mode: "incremental" });
  await shows(visit, page, "reconnect_needed");
  await visit.look(page, "reconnect-needed", "integrations");

  const other = await visit.world.workspace("Other");
  await visit.connect(page, other, "Reconnect Intercom");
  await visit.look(page, "another-workspace", "oauth_other_workspace");
  await visit.world.intercom("PUT", tokens, { state: "valid" });
  await page.goto(`${visit.world.base}/integrations`);
  await visit.connect(page, tenant.workspace, "Reconnect Intercom");
  await shows(visit, page, "up_to_date");
}

async function restricted(visit) {
  const tenant = await visit.world.tenant("Small Plan", { conversations_plan: false });
  const page = await visit.signedIn(tenant);
  await visit.connect(page, tenant.workspace);
  await shows(visit, page, "limited");
  await visit.look(page, "limited", "integrations");
}

async function hostile(visit) {
  const name = `<script>alert(1)</script>\u202e"'&${"x".repeat(3000)}`;
  const tenant = await visit.world.tenant("Hostile", { name });
  const page = await visit.signedIn(tenant);
  await visit.connect(page, tenant.workspace);
  await shows(visit, page, "up_to_date");
  await visit.look(page, "hostile-name", "integrations");
}
