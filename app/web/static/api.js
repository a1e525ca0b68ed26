/** The HTTP API of the service. */

/** An answer that is none of success: `status`, `reason` (the closed word of ours, '' where it is not ours), its words. */
export class ApiError extends Error {
  constructor(status, { reason, detail, retry_after_ms: retryAfterMs } = {}) {
    super(detail ?? '');
    Object.assign(this, { name: 'ApiError', status, reason: reason ?? '', retryAfterMs: retryAfterMs ?? null });
  }
}

/** Ask the API; raises ApiError, with status 0 where nobody answers. */
export async function api(path, body, token) {
  const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const method = body === undefined ? 'GET' : 'POST';
  const response = await fetch(path, { method, headers, body: JSON.stringify(body) }).catch(() => { throw new ApiError(0); });
  const answer = await response.json().catch(() => null);
  if (!response.ok || answer === null) throw new ApiError(response.status, answer ?? {});
  return answer;
}
