/** Who plays in this tab: kept for the tab, so that a reload comes back as the same player. */
import { api } from './api.js';

const TOKEN_KEY = 'code-racer.guest';

const kept = () => JSON.parse(sessionStorage.getItem(TOKEN_KEY) ?? 'null');

/** The name used last. */
export const knownName = () => kept()?.name ?? '';

/** This tab's guest of a name: the one there is, or a new one. */
export async function identity(name) {
  const known = kept();
  if (known && known.name === name && Date.parse(known.expires_at) > Date.now() + 60_000) return known;
  const guest = { ...(await api('/api/guests', { name })), name };
  sessionStorage.setItem(TOKEN_KEY, JSON.stringify(guest));
  return guest;
}
