/** The textarea that a solution is written in: its keys and its line numbers. */
import { $ } from './dom.js';

const INDENT = '    ';
const OUTDENT = /^(?: {1,4}|\t)/;
const MODIFIERS = ['Shift', 'Control', 'Alt', 'Meta'];

const area = $('code');
let leaves = false;

export const code = () => area.value;

export function setCode(text) {
  area.value = text;
  numberLines();
}

export function focusEditor() { area.focus(); }

/** Call `onInput()` when something was written, `onSubmit()` at Ctrl+Enter. */
export function startEditor({ onInput, onSubmit }) {
  area.addEventListener('keydown', (event) => onKey(event, onSubmit));
  area.addEventListener('blur', () => { leaves = false; });
  area.addEventListener('input', () => { numberLines(); onInput(); });
  area.addEventListener('scroll', () => { $('lines').scrollTop = area.scrollTop; });
}

function numberLines() {
  const count = area.value.split('\n').length;
  $('lines').textContent = Array.from({ length: count }, (_, index) => index + 1).join('\n');
  $('lines').scrollTop = area.scrollTop;
}

/** After Escape, Tab and Shift+Tab go where they go elsewhere: nobody is kept in here who has a keyboard alone. */
function onKey(event, onSubmit) {
  if (event.isComposing || MODIFIERS.includes(event.key)) return;
  const isCommand = event.ctrlKey || event.metaKey;
  const handle = {
    Tab: leaves || isCommand || event.altKey ? null : event.shiftKey ? outdent : indent,
    Enter: isCommand ? onSubmit : newLine,
  }[event.key];
  leaves = event.key === 'Escape';
  if (!handle) return;
  event.preventDefault();
  handle();
}

/** Replace the selection as typing would, so that it can be undone. */
function type(text) {
  if (document.execCommand('insertText', false, text)) return;
  area.setRangeText(text, area.selectionStart, area.selectionEnd, 'end');
  area.dispatchEvent(new InputEvent('input'));
}

function newLine() {
  const line = area.value.slice(0, area.selectionStart).split('\n').at(-1);
  type(`\n${line.match(/^ */)[0]}${line.trimEnd().endsWith(':') ? INDENT : ''}`);
}

function indent() {
  if (area.selectionStart === area.selectionEnd) type(INDENT);
  else changeLines((line) => line && INDENT + line);
}

function outdent() {
  changeLines((line) => line.replace(OUTDENT, ''));
}

/** Change each line that has a part of the selection, in one step for undo; the lines are selected then. */
function changeLines(change) {
  const { value, selectionStart: from, selectionEnd: to } = area;
  const last = to > from && value[to - 1] === '\n' ? to - 1 : to; // the line after that has nothing selected
  const start = value.slice(0, from).lastIndexOf('\n') + 1;
  const end = last + value.slice(last).split('\n')[0].length;
  const lines = value.slice(start, end);
  const changed = lines.split('\n').map(change).join('\n');
  if (changed === lines) return;
  area.setSelectionRange(start, end);
  type(changed);
  const caret = Math.max(start, from + changed.length - lines.length);
  if (from < to) area.setSelectionRange(start, start + changed.length);
  else area.setSelectionRange(caret, caret);
}
