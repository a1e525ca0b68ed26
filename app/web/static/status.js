/** How the connection is: the line in the head, and what is said beside the editor while there is none. */
import { $, turnOff } from './dom.js';
import { waitWords } from './ends.js';

let lostAt = null;

/** Show the client's state; `retry` is what it says when it waits to try again. */
export function showConnection(client, retry) {
  const { state, rttMs } = client;
  const isUp = state === 'open';
  if (isUp) lostAt = null;
  else if (client.welcome) lostAt ??= new Date();
  $('connection').dataset.state = state;
  $('connection-text').textContent = textOf(state, retry);
  $('rtt').textContent = isUp && rttMs !== null ? `${rttMs.toFixed(rttMs < 10 ? 1 : 0)} ms` : '';
  turnOff($('ready'), !isUp); // a click that cannot be sent would be lost
  $('outage').hidden = isUp || state === 'closed';
  const since = lostAt ? ` It was lost at ${lostAt.toLocaleTimeString()}.` : ''; // the head may be out of sight on a phone
  $('outage').textContent = `${waitWords(retry?.reason)}${since} You can write on: what you submit is sent when the connection is back.`;
}

/** The race is over: nothing is amiss where there is no connection. */
export function showOver() {
  $('connection').dataset.state = 'idle';
  $('connection-text').textContent = 'the race is over';
  $('rtt').textContent = '';
  $('outage').hidden = true;
}

function textOf(state, retry) {
  if (state === 'open') return 'connected';
  if (state === 'closed') return 'disconnected';
  const lost = lostAt ? `connection lost at ${lostAt.toLocaleTimeString()}` : 'connecting';
  return state === 'waiting' && retry ? `${lost}, next try in ${Math.ceil(retry.delayMs / 1000)} s` : `${lost}…`;
}
