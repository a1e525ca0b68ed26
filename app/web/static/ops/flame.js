/** A flame graph of collapsed stacks (`a;b;c 12`, a line each): wide is what took long, above it what it called. */
import { h, svg } from './dom.js';
import { count, percent } from './format.js';

const ROW = 18;
const DEEPEST = 80;
const THINNEST = 0.0008;
const COLOURS = 6;
const TOP = 15;

/** Fold stacks into a tree: `{ name, value, own, children }`. */
export function folded(collapsed) {
  const root = made('all');
  for (const line of collapsed.split('\n')) {
    const [, stack, number] = /^(.*) (\d+)$/.exec(line) ?? [];
    if (!stack) continue;
    const value = Number(number);
    let node = root;
    node.value += value;
    for (const name of stack.split(';')) {
      if (!node.children.has(name)) node.children.set(name, made(name));
      node = node.children.get(name);
      node.value += value;
    }
    node.own += value;
  }
  return root;
}

const made = (name) => ({ name, value: 0, own: 0, children: new Map() });

/** Draw stacks: the graph, in which a click goes deeper, and beside it who took the most by itself. */
export function flame(collapsed) {
  const root = folded(collapsed);
  const graph = h('div', { class: 'flame', 'data-keep': true });
  const said = h('p', { class: 'hint', role: 'status', 'data-keep': true }, 'A click on a frame makes it as wide as the graph.');
  const show = (node) => {
    graph.replaceChildren(drawing(node, root, show));
    said.textContent = node === root ? `${count(root.value)} samples. A click on a frame makes it as wide as the graph.` : `${node.name}: ${percent(node.value / root.value)} of all. A click on it goes back to all.`;
  };
  show(root);
  return [said, graph, h('h3', {}, 'Took the most by itself'), ownTable(root)];
}

function drawing(top, root, show) {
  const frames = [];
  let deepest = 0;
  const place = (node, depth, x, width) => {
    deepest = Math.max(deepest, depth);
    frames.push(frame(node, depth, x, width, root, () => show(node === top ? root : node)));
    if (depth === DEEPEST) return;
    let from = x;
    for (const child of [...node.children.values()].sort((one, other) => other.value - one.value)) {
      const wide = (child.value / top.value) * 1;
      if (wide >= THINNEST) place(child, depth + 1, from, wide);
      from += wide;
    }
  };
  if (top.value) place(top, 0, 0, 1);
  return svg('svg', { width: '100%', height: (deepest + 1) * ROW, role: 'img', 'aria-label': `Flame graph of ${count(root.value)} samples; the table below names the functions that took the most` }, frames);
}

function frame(node, depth, x, width, root, onclick) {
  const share = `${(width * 100).toFixed(3)}%`;
  return svg('svg', { x: `${(x * 100).toFixed(3)}%`, y: depth * ROW, width: share, height: ROW - 1, class: `f${colourOf(node.name)}`, onclick },
    svg('title', {}, `${node.name}: ${count(node.value)} samples, ${percent(node.value / root.value)}`),
    svg('rect', { width: '100%', height: '100%', rx: 2 }), svg('text', { x: 4, y: 12.5 }, node.name));
}

/** One name has one colour, and a module's functions are alike. */
function colourOf(name) {
  const file = name.split(/[:( ]/)[0];
  let sum = 0;
  for (const letter of file) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return sum % COLOURS;
}

function ownTable(root) {
  const own = new Map();
  const walk = (node) => {
    own.set(node.name, (own.get(node.name) ?? 0) + node.own);
    for (const child of node.children.values()) walk(child);
  };
  walk(root);
  const rows = [...own].filter(([, value]) => value).sort(([, one], [, other]) => other - one).slice(0, TOP);
  return h('table', {}, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Function'), h('th', { scope: 'col', class: 'number' }, 'Samples'), h('th', { scope: 'col', class: 'number' }, 'Share'))),
    h('tbody', {}, rows.map(([name, value]) => h('tr', {}, h('th', { scope: 'row' }, h('code', {}, name)), h('td', { class: 'number' }, count(value)), h('td', { class: 'number' }, percent(value / root.value))))));
}
