/** To record every trace of one player, game or connection for a time. */
import { act } from '../dialogs.js';
import { many } from '../format.js';
import { button } from '../parts.js';

const LONGEST_S = 600;

/** `subject` is one of `{ player }` and `{ game }`, which are traced on all replicas, and `{ connection }` on that of `query`. */
export function traceButton(subject, query, done) {
  const [kind] = Object.keys(subject);
  return button('Trace…', () => act({
    title: `Trace this ${kind}`, text: 'Each of its messages is traced, whatever the ratio is set to.', verb: 'Trace it', path: 'trace', method: 'PUT', query, body: subject,
    fields: [{ name: 'for_s', label: 'For, in seconds', type: 'number', min: 1, max: LONGEST_S, value: LONGEST_S }], done, said,
  }));
}

function said({ connections, note, missing }) {
  return `${note ? `There is ${note}` : many(connections, 'connection')}.${missing.length ? ` Not on ${missing.join(', ')}.` : ''}`;
}
