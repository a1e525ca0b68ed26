/** The player's own submissions, as the server has them. */
import { $, element } from './dom.js';
import { api } from './session.js';
import { VERDICTS } from './view.js';

const MOST_SHOWN = 10;
const SUBMISSION = 'submit_code';
const ID = '0'.repeat(36);

/** The bytes of a submission as it is sent, by which the server bounds it. */
export const sizeOf = (data) => new TextEncoder().encode(JSON.stringify({ type: SUBMISSION, data, id: ID })).length;

/** A player's submissions up to the attempt `last`, the newest ones; as far as they can be had. */
export async function submissionsOf(gameId, last) {
  const found = [];
  for (let attempt = Math.max(1, last - MOST_SHOWN + 1); attempt <= last; attempt += 1) {
    const one = await api.submission(gameId, attempt).catch(() => null);
    if (one) found.push(one);
  }
  return found;
}

/** The submissions that are known, and those found; a verdict that was heard meanwhile stays. In the order of attempts. */
export function joined(known, found) {
  const all = new Map(known.map((one) => [one.attempt, one]));
  for (const one of found) if (one.verdict || !all.has(one.attempt)) all.set(one.attempt, one);
  return [...all.values()].sort((one, other) => one.attempt - other.attempt);
}

/** List submissions with their verdicts. */
export function showSubmissions(submissions) {
  $('tries').hidden = submissions.length === 0;
  $('try-list').replaceChildren(...submissions.map((one) => {
    const tests = one.tests_total ? `, ${one.tests_passed} of ${one.tests_total} tests` : '';
    return element('li', one.verdict ? `${VERDICTS[one.verdict]}${tests}` : 'Being judged…');
  }));
  if (submissions.length) $('try-list').start = submissions[0].attempt;
}
