/** Parts that views are made of. */
import { h, svg } from './dom.js';
import { at, count, shortId, text, words } from './format.js';
import { but, isOfAll, to } from './place.js';

/** The head of a view: its title, what is so in a line, and what can be done. */
export function head(title, line, ...ways) {
  const actions = ways.flat().filter(Boolean);
  return h('div', { class: 'head' }, h('div', {}, h('h1', { tabindex: '-1' }, title), line && h('p', { class: 'hint' }, line)), actions.length > 0 && h('p', { class: 'ways' }, actions));
}

export function card(title, ...children) {
  return h('section', { class: 'card' }, h('h2', {}, title), ...children);
}

/** A list of names and values, those that are known. */
export function facts(rows) {
  return h('dl', { class: 'facts' }, rows.filter(([, value]) => value !== undefined).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value ?? text(value))]));
}

/** A number that one looks at first, with what it is of. */
export function figure(name, value, of, level) {
  return h('div', { class: 'figure', 'data-level': level }, h('p', { class: 'name' }, name), h('p', { class: 'value' }, value), h('p', { class: 'of' }, of || ' '));
}

/** A word that says how something is; by the colour, too. */
export const pill = (word, level) => h('span', { class: 'pill', 'data-level': level }, words(word));

export const button = (label, onclick, kind) => h('button', { type: 'button', onclick, class: kind, 'data-key': label }, label);

/** What stands in the place of a part that could not be had. */
export const problemLine = (problem) => h('p', { class: 'problem' }, `Not to be had: ${problem.message}.`);

export const nothing = (line) => h('p', { class: 'nothing' }, line);

/** Draw a part that was tried, or say why it is not there. */
export const part = ({ value, problem }, draw) => (problem ? problemLine(problem) : draw(value));

/** The rows of an answer, which is a list, or holds one. */
export const rowsOf = (answer) => (Array.isArray(answer) ? answer : answer?.rows ?? answer?.items ?? []);

// ---------------------------------------------------------------- links

/** A player is looked for where one looks: on all replicas, unless one is chosen. */
export const playerLink = (id, name) => (id ? h('a', { href: to('player', id), title: id }, name || shortId(id)) : '–');
export const gameLink = (id) => (id ? h('a', { href: to('game', id) }, shortId(id)) : '–');
export const connectionLink = (id) => (id ? h('a', { href: to('connection', id) }, shortId(id)) : '–');

// ---------------------------------------------------------------- tables

/**
 * A table. A column is `{ name, cell, sort, isNumber, isWide }`: `cell(row)` draws, `sort` is the API's word for it, a
 * wide one is left out on a phone, a widest one on all but large screens. The link of a row's first cell is where `j` and
 * `k` go.
 */
export function table({ caption, columns, rows, key, query = {}, empty = 'Nothing.', first }) {
  if (!rows.length) return nothing(empty);
  const headings = columns.map((column) => heading(column, query, first));
  const lines = rows.map((row) => h('tr', { 'data-key': key ? String(key(row)) : null }, columns.map((column, index) => cellOf(column, row, index))));
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption }, h('table', {}, h('caption', { class: 'unseen' }, caption), h('thead', {}, h('tr', {}, headings)), h('tbody', {}, lines)));
}

const classOf = ({ isNumber, isWide, isWidest }) => [isNumber && 'number', isWide && 'wide', isWidest && 'widest'].filter(Boolean).join(' ') || null;

function cellOf(column, row, index) {
  const shown = column.cell(row);
  const level = column.level?.(row);
  return h(index ? 'td' : 'th', { class: classOf(column), scope: index ? null : 'row', 'data-level': level || null }, shown ?? '–');
}

function heading(column, query, first) {
  if (!column.sort) return h('th', { scope: 'col', class: classOf(column) }, column.name);
  const isSorted = (query.sort ?? first) === column.sort;
  const order = query.order ?? 'desc';
  const next = isSorted && order === 'desc' ? 'asc' : 'desc';
  const href = but({ sort: column.sort, order: next === 'desc' ? undefined : next, after: undefined, page: undefined });
  return h('th', { scope: 'col', class: classOf(column), 'aria-sort': isSorted ? `${order}ending` : null }, h('a', { href, class: 'sort' }, column.name, isSorted && h('span', { 'aria-hidden': 'true' }, order === 'desc' ? ' ↓' : ' ↑')));
}

const cursors = new Map();

/** The way through the pages of a list, which the server cuts: to the next, to the one before, to the first. */
export function pager({ total, matched, next, rows }, query, noun) {
  const page = Number(query.page ?? 1);
  const known = matched ?? total;
  const mine = new URLSearchParams({ ...query, after: '', page: '' }).toString();
  cursors.set(`${mine} ${page}`, query.after ?? '');
  const before = cursors.get(`${mine} ${page - 1}`);
  const link = (label, changes, rel) => h('a', { class: 'button', href: but(changes), rel }, label);
  const line = known === undefined ? many(rows.length, noun) : [h('strong', {}, count(known)), known === total ? ` ${noun}` : ` of ${count(total)} ${noun}`];
  return h('div', { class: 'pager' }, h('p', {}, line, page > 1 && `, page ${count(page)}`), h('p', { class: 'ways' },
    page > 2 && link('First', { after: undefined, page: undefined }),
    page > 1 && before !== undefined && link('Previous', { after: before || undefined, page: page > 2 ? page - 1 : undefined }, 'prev'),
    next !== null && next !== undefined && next !== '' && link('Next', { after: next, page: page + 1 }, 'next')));
}

const many = (number, noun) => `${count(number)} ${noun}`;

/** Who of the replicas has not answered: what is shown is not all there is. */
export function missingLine({ missing } = {}) {
  if (!missing?.length) return null;
  const names = missing.map((one) => (typeof one === 'string' ? one : one.replica ?? one.instance));
  return h('p', { class: 'warning' }, `Without ${names.join(', ')}, which ${names.length === 1 ? 'does' : 'do'} not answer.`);
}

/** The column that says whose a row is, in a list of all replicas. */
export const replicaColumn = (query) => (isOfAll(query) ? [{ name: 'Replica', cell: (row) => text(row.replica), isWide: true, isLong: true }] : []);

/** A form whose fields are what is asked of the view; a change is a new place. */
export function filters(query, fields) {
  const go = (form) => { location.hash = but({ ...Object.fromEntries(new FormData(form)), after: undefined, page: undefined }); };
  const onsubmit = (event) => { event.preventDefault(); go(event.currentTarget); };
  const onchange = (event) => go(event.currentTarget);
  return h('form', { class: 'filters', onsubmit, onchange }, fields.map((field) => h('label', {}, h('span', {}, field.label), field.options ? choice(field, query) : h('input', { name: field.name, type: 'search', value: query[field.name] ?? '', maxlength: '200', autocomplete: 'off', spellcheck: 'false' }))));
}

function choice({ name, options, any = 'any' }, query) {
  const all = [['', any], ...options.map((one) => (Array.isArray(one) ? one : [one, words(one)]))];
  return h('select', { name }, all.map(([value, label]) => h('option', { value, selected: (query[name] ?? '') === value }, label)));
}

// ---------------------------------------------------------------- drawings

/** A line of how a number went, the newest at the right. */
export function spark(values, label) {
  const known = values.map((value) => (typeof value === 'number' ? value : value?.value ?? value?.[1] ?? 0));
  const highest = Math.max(...known, Number.MIN_VALUE);
  const x = (index) => ((index / Math.max(1, known.length - 1)) * 100).toFixed(2);
  const y = (value) => (28 - (value / highest) * 26).toFixed(2);
  const line = known.map((value, index) => `${x(index)},${y(value)}`).join(' ');
  return svg('svg', { class: 'spark', viewBox: '0 0 100 30', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    svg('polygon', { points: `0,30 ${line} 100,30` }), svg('polyline', { points: line }));
}

/** A bar beside a number, which says the same. */
export const bar = (value, most) => h('progress', { value: value || 0, max: most || 1, 'aria-hidden': 'true' });

export const timeOf = (row) => at(row.at ?? row.since);
