/** The console's API: one place where the token is kept, where a request is sent, and where a problem becomes words. */

const TOKEN = 'code-racer.ops.token';
const NAME = 'code-racer.ops.name';
const PATIENCE_MS = 10_000;
/** For what a replica may itself wait for others for (OPS_LONG_TIMEOUT_S). */
export const LONG_MS = 70_000;

/** An answer that is none of success; `status` is 0 where nobody answers. */
export class Problem extends Error {
  constructor(status, { reason, detail, title } = {}) {
    super(detail || title || (status ? `the answer is ${status}` : 'the replica does not answer'));
    Object.assign(this, { name: 'Problem', status, reason: reason ?? '' });
  }
}

/** Whether the service does not know who asks: asking on is trying a bad token again and again. */
export const refused = (problem) => problem?.status === 401;

/** What is kept for this tab: who brings a token, and it. */
export function kept() {
  try {
    return { token: sessionStorage.getItem(TOKEN) ?? '', name: sessionStorage.getItem(NAME) ?? '' };
  } catch {
    return { token: '', name: '' };
  }
}

/** Keep a token for this tab, and the name of who brings it; or forget both. */
export function keep({ token, name }) {
  try {
    sessionStorage.setItem(TOKEN, token);
    sessionStorage.setItem(NAME, name);
  } catch {
    // a browser that keeps nothing: the token is asked for again
  }
}

/** The headers that say who asks. One token may be many people's: they say their name. */
function credentials() {
  const { token, name } = kept();
  return token ? { authorization: `Bearer ${token}`, ...(name ? { 'x-operator': encodeURIComponent(name) } : {}) } : {};
}

/** The address of a part of the API; what has no value is left out. */
export function address(path, query = {}) {
  const known = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const search = new URLSearchParams(known).toString();
  return `/ops/api/${path}${search ? `?${search}` : ''}`;
}

/** Send one request with the token; the raw answer. Raises Problem. */
export async function send(path, { query, method = 'GET', body, signal, accept = 'application/json' } = {}) {
  const headers = { accept, ...credentials() };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const options = { method, headers, signal, body: JSON.stringify(body), credentials: 'omit', cache: 'no-store' };
  const response = await fetch(address(path, query), options).catch((error) => { throw signal?.aborted ? error : new Problem(0); });
  if (response.ok) return response;
  throw new Problem(response.status, (await response.json().catch(() => null)) ?? {});
}

/** Ask the API. A replica that says nothing within `patienceMs` does not answer. Raises Problem. */
export async function ask(path, { patienceMs = PATIENCE_MS, signal, ...options } = {}) {
  const late = AbortSignal.timeout(patienceMs);
  const both = signal ? AbortSignal.any([signal, late]) : late;
  try {
    const response = await send(path, { ...options, signal: both });
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (late.aborted && !signal?.aborted) throw new Problem(0, { detail: `the replica has not answered within ${patienceMs / 1000} s` });
    throw error;
  }
}

/** What a part of a view is drawn from: `{ value }`, or the `{ problem }` that is shown in its place; who is refused sees none. */
export async function tried(promise) {
  try {
    return { value: await promise };
  } catch (problem) {
    if (!(problem instanceof Problem) || refused(problem)) throw problem;
    return { problem };
  }
}
