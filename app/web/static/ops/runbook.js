/**
 * A runbook, drawn from the HTML that the service makes of it.
 *
 * The page runs no HTML of anybody: what is parsed here is inert, and of it only elements of text are made anew, with
 * no attribute but the address of a link.
 */
import { h } from './dom.js';
import { but } from './place.js';

const TAGS = new Set(['h1', 'h2', 'h3', 'h4', 'p', 'ul', 'ol', 'li', 'pre', 'code', 'em', 'strong', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'blockquote', 'hr', 'br']);
const INERT = globalThis.trustedTypes?.createPolicy('code-racer-runbook', { createHTML: (html) => html });

/** Draw an answer `{ html }`. */
export function drawnRunbook({ html }) {
  const parsed = new DOMParser().parseFromString(INERT ? INERT.createHTML(html) : html, 'text/html');
  return [...parsed.body.childNodes].map(copied);
}

/** Headings go down by one: the page has its own first. */
const tagOf = (tag) => (/^h[123]$/.test(tag) ? `h${Number(tag[1]) + 1}` : tag);

function copied(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.data;
  if (node.nodeType !== Node.ELEMENT_NODE) return '';
  const tag = node.localName;
  const children = [...node.childNodes].map(copied);
  if (!TAGS.has(tag)) return ['script', 'style', 'template', 'iframe'].includes(tag) ? '' : children;
  if (tag === 'a') return linkTo(node.getAttribute('href') ?? '', children);
  return h(tagOf(tag), tag === 'pre' ? { tabindex: '0' } : {}, children);
}

/** Another runbook is opened here, the rest of the web beside; there is nothing else that a runbook leads to. */
function linkTo(href, children) {
  const [, runbook] = /^#\/alerts\?runbook=(\w+)$/.exec(href) ?? [];
  if (runbook) return h('a', { href: but({ runbook }) }, children);
  return /^https?:\/\//.test(href) ? h('a', { href, rel: 'noreferrer', target: '_blank' }, children) : h('span', {}, children);
}
