/** The line that tells how the connection is. */
import { $ } from './dom.js';

const TEXTS = {
  idle: 'not connected', connecting: 'connecting…', open: 'connected', reconnecting: 'reconnecting…', waiting: 'connection lost', closed: 'disconnected',
};

export function showConnection(client, retryMs) {
  const wait = retryMs === undefined ? '' : `, next try in ${Math.ceil(retryMs / 1000)} s`;
  $('connection').dataset.state = client.state;
  $('ready').disabled = client.state !== 'open'; // a click that cannot be sent would be lost
  $('connection-text').textContent = TEXTS[client.state] + wait;
  $('rtt').textContent = client.state === 'open' && client.rttMs !== null ? `${client.rttMs.toFixed(client.rttMs < 10 ? 1 : 0)} ms` : '';
}
