// What stands around the browser: the product backend, by its key, and the simulated Intercom, by its control side.

// A workspace that is synced in a moment.
const SMALL = {
  contacts: 12,
  companies: 4,
  conversations: 9,
  parts: 5,
  limit_per_window: 100000,
  merged_contacts: 1,
  deleted_contacts: 1,
  deleted_conversations: 1,
};

const PAUSE_MS = 100;
const PATIENCE_MS = 60_000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits until a question has an answer that is not false, empty or missing.
export async function until(what, question) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited too long until ${what}`);
    await pause(PAUSE_MS);
  }
}

async function exchange(method, url, headers, body) {
  const answer = await fetch(url, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url} answered ${answer.status}: ${text}`);
  return text ? JSON.parse(text) : undefined;
}

export class World {
  #serviceKey;
  #intercomUrl;

  // The one that the harness calls so: "", or "PROXIED_" for the one behind a proxy that ends TLS.
  constructor(prefix = "") {
    const named = (name) => process.env[`${prefix}${name}`];
    this.base = named("PUBLIC_URL");
    this.ops = named("OPS_URL");
    this.operatorKey = named("OPERATOR_KEY");
    this.#serviceKey = named("SERVICE_KEY");
    this.#intercomUrl = named("INTERCOM_URL");
  }

  get isThere() {
    return Boolean(this.base);
  }

  // A tenant of the product backend, and a workspace at Intercom that could be its own.
  async tenant(name, spec = {}) {
    const tenant = await this.rest("POST", "/v1/tenants", undefined, { name });
    return { id: tenant.id, name, workspace: await this.workspace(name, spec) };
  }

  // A workspace at Intercom, which is the same in every run, whatever other walks there are.
  async workspace(name, spec = {}) {
    const seed = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 1_000_003, 7);
    const recipe = { ...SMALL, seed, id_code: `w${seed}`, name: `${name} Support`, ...spec };
    const made = await this.intercom("POST", "workspaces", recipe);
    return { id: made.id_code, name: recipe.name };
  }

  // A call of the product backend.
  rest(method, path, tenant, body) {
    const headers = { authorization: `Bearer ${this.#serviceKey}` };
    if (tenant) headers["pathbound-tenant"] = tenant.id;
    return exchange(method, `${this.base}${path}`, headers, body);
  }

  // A call of an operator.
  operator(method, path, body) {
    return exchange(method, new URL(path, this.ops).href, { authorization: `Bearer ${this.operatorKey}` }, body);
  }

  // A call of the simulator's control side.
  intercom(method, path, body) {
    return exchange(method, `${this.#intercomUrl}/_control/${path}`, {}, body);
  }

  // A sign-in link to a page.
  async link(tenant, returnTo) {
    const made = await this.rest("POST", "/v1/sessions", tenant, returnTo ? { return_to: returnTo } : {});
    return made.url;
  }

  // Holds the answers of an operation of a workspace. Returns what lets them go.
  async hold(workspace, operation) {
    const fault = { workspace: workspace.id, operation, action: { hold: {} } };
    const { id } = await this.intercom("POST", "faults", fault);
    return () => this.intercom("DELETE", `faults/${id}`);
  }

  // The connection of a tenant that has one.
  async connection(tenant) {
    const { items } = await this.rest("GET", "/v1/connections", tenant);
    return items[0];
  }

  // Waits until a tenant's copy is complete.
  async untilComplete(tenant) {
    const { id } = await this.connection(tenant);
    await until(`${tenant.name} is complete`, async () => {
      const status = await this.rest("GET", `/v1/connections/${id}/sync`, tenant);
      return status.complete;
    });
  }
}
