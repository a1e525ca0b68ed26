/** The page's elements. All text is set as text, never as HTML. */

export const $ = (id) => document.getElementById(id);

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
