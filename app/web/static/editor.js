/** The textarea that a solution is written in: its keys and its line numbers. */
import { $ } from './dom.js';

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
  area.addEventListener('input', () => { numberLines(); onInput(); });
  area.addEventListener('scroll', () => { $('lines').scrollTop = area.scrollTop; });
}

function numberLines() {
  const count = area.value.split('\n').length;
  $('lines').textContent = Array.from({ length: count }, (_, index) => index + 1).join('\n');
  $('lines').scrollTop = area.scrollTop;
}

/** Replace the selection as typing would, so that undo works. */
function type(text) {
  document.execCommand('insertText', false, text);
}

function onKey(event, onSubmit) {
  if (event.key === 'Escape') { leaves = true; return; }
  if ((event.ctrlKey || event.metaKey) && event.key === 'Enter') { event.preventDefault(); onSubmit(); return; }
  if (event.key === 'Tab' && !leaves) {
    event.preventDefault();
    if (event.shiftKey) outdent();
    else type('    ');
  } else if (event.key === 'Enter') {
    event.preventDefault();
    const line = area.value.slice(0, area.selectionStart).split('\n').at(-1);
    const indent = line.match(/^ */)[0] + (line.trimEnd().endsWith(':') ? '    ' : '');
    type(`\n${indent}`);
  }
  leaves = false;
}

function outdent() {
  const start = area.value.lastIndexOf('\n', area.selectionStart - 1) + 1;
  const spaces = area.value.slice(start).match(/^ {0,4}/)[0].length;
  if (!spaces) return;
  const caret = area.selectionStart;
  area.setSelectionRange(start, start + spaces);
  document.execCommand('delete');
  area.setSelectionRange(Math.max(start, caret - spaces), Math.max(start, caret - spaces));
}
