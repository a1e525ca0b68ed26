/** The page's elements. All text is set as text, never as HTML. */

export const $ = (id) => document.getElementById(id);

/** Have a button do nothing for now. It keeps the focus, which a disabled one loses; who acts on it asks `isOff`. */
export function turnOff(button, isOff) { button.setAttribute('aria-disabled', String(Boolean(isOff))); }

export const isOff = (button) => button.getAttribute('aria-disabled') === 'true';

export function element(tag, text, className) {
  const one = document.createElement(tag);
  one.textContent = text;
  if (className) one.className = className;
  return one;
}

export function row(parent, tag, cells) {
  const line = document.createElement(tag);
  line.append(...cells);
  parent.append(line);
  return line;
}
