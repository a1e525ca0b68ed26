/** The keyboard: single keys where nobody types, which can be turned off. */
import { $, h } from './dom.js';
import { to } from './place.js';

const OFF = 'code-racer.ops.keys-off';

const GOES = { o: ['replica', 'this replica'], r: ['replicas', 'replicas'], a: ['alerts', 'alerts'], c: ['connections', 'connections'], g: ['games', 'games'], h: ['hot', 'hot lists'], x: ['closes', 'closes'], w: ['changes', 'who changed what'], l: ['log', 'log'], s: ['settings', 'settings'], d: ['diagnostics', 'diagnostics'] };

const HELP = [
  ['/', 'find a player, a game or a connection by its id'],
  ['j', 'the next row'], ['k', 'the row before'], ['Enter', 'open it'],
  ['n', 'the next page'], ['p', 'the page before'],
  ['Esc', 'close what is open; from one thing to its list'],
  ['?', 'this help'],
  ...Object.entries(GOES).map(([key, [, name]]) => [`g ${key}`, `go to ${name}`]),
];

const isTyping = ({ target }) => target.matches?.('input:not([type=checkbox]), select, textarea') || target.isContentEditable;

let isGoing = false;

function areOn() {
  try {
    return !localStorage.getItem(OFF);
  } catch {
    return true;
  }
}

function turn(isOn) {
  try {
    if (isOn) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, '1');
  } catch {
    // a browser that keeps nothing: they are on
  }
}

/** Watch the keys, from now on; `up()` goes from one thing to its list. */
export function watchKeys(up) {
  $('help-keys').replaceChildren(...HELP.flatMap(([keys, what]) => [h('dt', {}, keys.split(' ').map((key) => h('kbd', {}, key))), h('dd', {}, what)]));
  $('help-on').checked = areOn();
  $('help-on').onchange = () => turn($('help-on').checked);
  addEventListener('keydown', (event) => press(event, up));
}

function press(event, up) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (event.key === 'Escape') {
    if (isTyping(event)) event.target.blur();
    else up();
    return;
  }
  if (isTyping(event) || (!areOn() && event.key !== '?')) return;
  const isSecond = isGoing;
  isGoing = event.key === 'g' && !isSecond;
  if (isSecond && event.key in GOES) location.hash = to(GOES[event.key][0]);
  else if (!act(event.key)) return;
  event.preventDefault();
}

function act(key) {
  if (key === '/') $('find-id').select();
  else if (key === '?') $('help').showModal();
  else if (key === 'j') step(1);
  else if (key === 'k') step(-1);
  else if (key === 'n') $('content').querySelector('[rel=next]')?.click();
  else if (key === 'p') $('content').querySelector('[rel=prev]')?.click();
  else return key === 'g';
  if (key === '/') $('find-id').focus();
  return true;
}

/** Go to another row: to the link in its first cell. */
function step(by) {
  const links = [...$('content').querySelectorAll('tbody tr > :first-child a')];
  if (!links.length) return;
  const now = links.indexOf(document.activeElement?.closest('tr')?.querySelector(':first-child a'));
  const next = now < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, now + by));
  links[next].focus();
  links[next].closest('tr').scrollIntoView({ block: 'nearest' });
}
