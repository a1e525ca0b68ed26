/** How numbers and times are shown. What is not known is a dash. */
import { h } from './dom.js';

export const NONE = '–';

const isNone = (value) => value === null || value === undefined || value === '' || Number.isNaN(value);

export const text = (value) => (isNone(value) ? NONE : String(value));

export const count = (value) => (isNone(value) ? NONE : Number(value).toLocaleString('en', { maximumFractionDigits: 1 }));

/** `3 players`: a number and what is counted. */
export const many = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;

export function bytes(value) {
  if (isNone(value)) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = value < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(value) / 10));
  const shown = value / 1024 ** step;
  return `${step && shown < 10 ? shown.toFixed(1) : Math.round(shown)} ${units[step]}`;
}

/** A length of time, to the two units that count: `3 h 12 min`. */
export function duration(seconds) {
  if (isNone(seconds)) return NONE;
  if (seconds === 0) return '0 s';
  if (seconds < 0) return `−${duration(-seconds)}`;
  if (seconds < 0.0095) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${Number.isInteger(seconds) ? seconds : seconds.toFixed(1)} s`;
  const parts = [['d', 86_400], ['h', 3_600], ['min', 60], ['s', 1]];
  const first = parts.findIndex(([, size]) => seconds >= size);
  let left = Math.round(seconds);
  const shown = parts.slice(first, first + 2).map(([unit, size]) => {
    const whole = Math.floor(left / size);
    left -= whole * size;
    return whole ? `${whole} ${unit}` : '';
  });
  return shown.filter(Boolean).join(' ');
}

export const percent = (share) => (isNone(share) ? NONE : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`);

/** A moment as the API tells it (epoch seconds or milliseconds, or RFC 3339), in epoch milliseconds. */
export function moment(value) {
  if (isNone(value)) return null;
  if (typeof value === 'number') return value > 1e11 ? value : value * 1000;
  const parsed = Date.parse(value);
  return Number.isNaN(parsed) ? null : parsed;
}

/** A moment: the time of day, with the day where that is not today; all of it, in UTC, as its title. */
export function at(value) {
  const ms = moment(value);
  if (ms === null) return NONE;
  const date = new Date(ms);
  const isToday = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString('en-GB');
  const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  return h('time', { datetime: date.toISOString(), title: date.toISOString() }, isToday ? time : `${day} ${time}`);
}

/** How long ago a moment was, in words. */
export function ago(value) {
  const ms = moment(value);
  if (ms === null) return NONE;
  const passed = (Date.now() - ms) / 1000;
  return passed < 1 ? 'just now' : `${duration(Math.round(passed))} ago`;
}

/** A closed word of the API as words. */
export const words = (value) => text(value).replaceAll('_', ' ');

/** An id: in full as its title, its beginning where it is long. */
export function shortId(value) {
  if (isNone(value)) return NONE;
  const id = String(value);
  return h('code', { title: id }, id.length > 20 ? `${id.slice(0, 8)}…` : id);
}
