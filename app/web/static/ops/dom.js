/** Elements, and how what is drawn anew takes the place of what is there. All text is set as text, never as HTML. */

export const $ = (id) => document.getElementById(id);

const SVG = 'http://www.w3.org/2000/svg';
const HANDLERS = ['onclick', 'onsubmit', 'onchange', 'oninput', 'onkeydown', 'ontoggle'];

/** Make an element: attributes, handlers (`onclick`), children; what is null, undefined or false is left out. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an element of a drawing. */
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(one, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (HANDLERS.includes(name)) one[name] = value;
    else if (value !== null && value !== undefined && value !== false) one.setAttribute(name, value === true ? '' : value);
  }
  one.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return one;
}

/**
 * Change what is there into what was drawn anew: a refresh loses no focus, no selection, no place, and nothing that was
 * opened or typed; where what has the focus is gone, what it led to has it (`data-lead`), or the heading. Children with a
 * `data-key` are known again where they have moved.
 */
export function morph(there, drawn) {
  const focused = document.activeElement;
  const had = there.contains(focused);
  morphChildren(there, [...drawn]);
  if (!had || focused === document.activeElement) return;
  const next = there.contains(focused) ? focused : there.querySelector('[data-lead]') ?? there.querySelector('h1');
  next?.focus({ preventScroll: !('lead' in next.dataset) });
}

function morphChildren(parent, drawn) {
  const keyed = new Map([...parent.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let next = parent.firstChild;
  for (const node of drawn) {
    const known = keyOf(node) ? keyed.get(keyOf(node)) : next && !keyOf(next) && isAlike(next, node) ? next : null;
    if (known && known === next) next = next.nextSibling;
    else parent.insertBefore(known ?? node, next);
    if (known) morphNode(known, node);
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

const keyOf = (node) => node.dataset?.key ?? '';

const isAlike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName;

function morphNode(there, drawn) {
  if (there.nodeType === Node.TEXT_NODE) {
    if (there.data !== drawn.data) there.data = drawn.data;
    return;
  }
  morphAttributes(there, drawn);
  for (const name of HANDLERS) if (there[name] !== drawn[name]) there[name] = drawn[name];
  if (!('keep' in there.dataset)) morphChildren(there, [...drawn.childNodes]);
}

/** What is open stays so; what is typed stays, unless another value is asked for and nobody is typing. */
function morphAttributes(there, drawn) {
  for (const { name } of [...there.attributes]) {
    if (!drawn.hasAttribute(name) && name !== 'open') there.removeAttribute(name);
  }
  for (const { name, value } of [...drawn.attributes]) {
    if (there.getAttribute(name) === value) continue;
    there.setAttribute(name, value);
    if (name === 'value' && there !== document.activeElement) there.value = value;
    if (name === 'selected') there.selected = true;
  }
}
