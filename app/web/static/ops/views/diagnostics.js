/** What the process does just now: looked at when asked for, and not again by itself. */
import { LONG_MS, Problem, ask } from '../api.js';
import { $, h, morph } from '../dom.js';
import { act } from '../dialogs.js';
import { text, words } from '../format.js';
import { flame } from '../flame.js';
import { button, card, head, nothing, problemLine } from '../parts.js';
import { ofOne } from '../place.js';

const LOOKS = {
  tasks: ['Tasks', 'each asyncio task with its stack, the alike together'], threads: ['Threads', 'the stack of each thread'],
  gc: ['Garbage collector', 'its generations and what they hold'], descriptors: ['Descriptors', 'what is open, by kind'], lag: ['Event loop', 'how late it was in the last hour'],
};
const MOST_S = 60;
const MOST_ROWS = 200;

export const diagnostics = {
  name: 'Diagnostics', everyMs: null,
  load: async () => null,
  draw(_, { query, mayAct }) {
    const one = ofOne(query);
    const takes = (kind, title, note) => button(`${title}…`, () => act({
      title, text: note, verb: 'Begin', path: `diagnostics/${kind}`, query: one, fields: [{ name: 'seconds', label: 'For, in seconds', type: 'number', min: 1, max: MOST_S, value: 10 }],
      patienceMs: LONG_MS, done: (answer) => show(title, answer),
    }));
    return [
      head('Diagnostics', 'What the process does just now. The first five cost next to nothing; a profile and the memory cost some of its speed while they last.'),
      h('p', { class: 'ways' }, Object.entries(LOOKS).map(([kind, [title, note]]) => h('button', { type: 'button', title: note, onclick: () => look(kind, title, one) }, title)),
        mayAct && [takes('profile', 'Profile', 'The stacks are sampled for so long.'), takes('memory', 'Memory', 'What is allocated is recorded for so long: everything is slower meanwhile.')]),
      !mayAct && h('p', { class: 'hint' }, 'A profile and the memory need the right to act.'),
      h('div', { id: 'found', 'data-keep': true, 'aria-live': 'polite' }),
    ];
  },
};

async function look(kind, title, query) {
  try {
    show(title, await ask(`diagnostics/${kind}`, { query }));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    morph($('found'), [card(title, problemLine(problem))]);
  }
}

function show(title, answer) {
  const collapsed = answer?.collapsed ?? answer?.stacks_collapsed;
  const drawn = typeof collapsed === 'string' ? flame(collapsed) : Array.isArray(collapsed) ? flame(collapsed.join('\n')) : shown(answer);
  $('found')?.replaceChildren(card(title, ...[drawn].flat(Infinity)));
}

/** Show whatever was answered: lists of records as tables or, with stacks, as what can be opened. */
function shown(value) {
  if (value === null || value === undefined) return text(value);
  if (Array.isArray(value)) return value.length ? listed(value) : nothing('Nothing.');
  if (typeof value === 'object') return h('dl', { class: 'facts' }, Object.entries(value).map(([name, one]) => [h('dt', {}, words(name)), h('dd', {}, shown(one))]));
  const line = String(value);
  return line.includes('\n') ? h('pre', { tabindex: '0' }, line) : line;
}

const STACKS = ['stack', 'frames', 'traceback'];

function listed(rows) {
  const cut = rows.slice(0, MOST_ROWS);
  if (typeof rows[0] !== 'object' || rows[0] === null) return h('pre', { tabindex: '0' }, cut.join('\n'));
  const stack = STACKS.find((name) => name in rows[0]);
  if (stack) return cut.map((row) => h('details', {}, h('summary', {}, Object.entries(row).filter(([name]) => name !== stack).map(([name, one]) => `${words(name)} ${Array.isArray(one) ? one.join(', ') : text(one)}`).join(' · ')), h('pre', { tabindex: '0' }, [row[stack]].flat().join('\n'))));
  const names = Object.keys(rows[0]);
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'What was found' }, h('table', {}, h('thead', {}, h('tr', {}, names.map((name) => h('th', { scope: 'col' }, words(name))))), h('tbody', {}, cut.map((row) => h('tr', {}, names.map((name) => h('td', {}, typeof row[name] === 'object' ? shown(row[name]) : text(row[name]))))))));
}
