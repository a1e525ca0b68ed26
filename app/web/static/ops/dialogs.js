/** What is asked before anything is done: what will happen, and why it is wanted. */
import { $, h } from './dom.js';
import { Problem, ask } from './api.js';

let told = null;

/** Say in a line, at the foot of the page, what came of something. */
export function tell(line) {
  clearTimeout(told);
  $('told').textContent = line;
  told = setTimeout(() => { $('told').textContent = ''; }, 12_000);
}

/**
 * Ask for a reason and have it done: `{ title, text, verb, path, method, query, body, fields, isGrave, done, said }`. A field
 * is `{ name, label, type, value, options, hint }`; `done(answer)` is called where it was done, and what `said(answer)`
 * returns is told.
 */
export function act(action) {
  const { title, text = '', verb, fields = [], isGrave } = action;
  $('act-title').textContent = title;
  $('act-text').textContent = text;
  $('act-fields').replaceChildren(...fields.map(fieldOf));
  $('act-reason').value = '';
  $('act-problem').hidden = true;
  $('act-go').textContent = verb;
  $('act-go').className = isGrave ? 'grave' : 'primary';
  $('act-go').disabled = false;
  $('act-form').onsubmit = (event) => { event.preventDefault(); run(action); };
  $('act').showModal();
  ($('act-fields').querySelector('input, select') ?? $('act-reason')).focus();
}

function fieldOf({ name, label, type = 'text', value = '', options, hint, ...more }) {
  const id = `act-field-${name}`;
  if (type === 'checkbox') return h('label', { class: 'check' }, h('input', { id, name, type, checked: Boolean(value) }), ` ${label}`);
  const input = options
    ? h('select', { id, name }, options.map(([word, words]) => h('option', { value: word, selected: String(word) === String(value) }, words)))
    : h('input', { id, name, type, value, required: true, autocomplete: 'off', ...more });
  return h('label', {}, label, ' ', input, hint && h('span', { class: 'hint' }, hint));
}

/** What was put in: numbers as numbers; what is left empty in a choice is nothing. */
function filled(fields) {
  return Object.fromEntries(fields.map(({ name, type, options, isNumber }) => {
    const input = $(`act-field-${name}`);
    if (type === 'checkbox') return [name, input.checked];
    if (options && input.value === '') return [name, null];
    return [name, type === 'number' || isNumber ? Number(input.value) : input.value];
  }));
}

async function run({ title, path, method = 'POST', query, body, fields = [], patienceMs, done, said, reshape = (value) => value }) {
  $('act-go').disabled = true;
  $('act-problem').hidden = true;
  const values = reshape(filled(fields));
  const where = typeof path === 'function' ? path(values) : path;
  try {
    const answer = await ask(where, { method, query, patienceMs, body: { ...body, ...values, reason: $('act-reason').value.trim() } });
    $('act').close();
    tell(`${title}: done.${said ? ` ${said(answer)}` : ''}`);
    done?.(answer);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    $('act-problem').textContent = wordsOf(problem);
    $('act-problem').hidden = false;
  }
  $('act-go').disabled = false;
}

function wordsOf(problem) {
  if (problem.status === 401 || problem.status === 403) return `Not allowed: ${problem.message}. “${$('access').textContent.trim()}” in the head of the page says how to get the right.`;
  return `It was not done: ${problem.message}.`;
}

$('act-cancel').onclick = () => $('act').close();
