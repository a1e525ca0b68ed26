/**
 * What the replica tells by itself: its server-sent events, read with `fetch` as an EventSource sends no header.
 * Where they do not come (another replica is looked at, there are too many watchers, a proxy holds them back) it is
 * asked every five seconds instead; where it does not answer, that is said, and it is asked on. Who is refused asks no
 * more: it is `follow` that begins again, once somebody has signed in.
 */
import { ask, refused, send } from './api.js';

const POLL_MS = 5_000;
const SILENCE_MS = 5_000;

/** The events of a stream, one by one: `{ name, data }`. */
export class EventReader {
  #text = '';

  /** Take more of the stream; the events that are whole now. */
  feed(chunk) {
    this.#text += chunk;
    const parts = this.#text.split(/\r?\n\r?\n/);
    this.#text = parts.pop();
    return parts.map(parse).filter(Boolean);
  }
}

function parse(block) {
  let name = 'message';
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === 'event') name = value;
    if (field === 'data') data.push(value);
  }
  return data.length ? { name, data: JSON.parse(data.join('\n')) } : null;
}

/** Keeps a page told; `onevent(name, data)` and `onstate(state, since)`, of live, polling, silent. */
export class Live {
  #abort = null;
  #target = '';
  #state = '';
  #since = null;

  constructor(onevent, onstate) {
    this.onevent = onevent;
    this.onstate = onstate;
  }

  /** Follow a replica from now on ('' for the one that serves the page). */
  follow(target) {
    this.stop();
    this.#target = target;
    this.#abort = new AbortController();
    this.#run(this.#abort.signal);
  }

  stop() {
    this.#abort?.abort();
    this.#abort = null;
  }

  async #run(signal) {
    while (!signal.aborted) {
      const isRefused = !this.#target && (await this.#watch(signal).catch(refused));
      if (!signal.aborted && (isRefused || (await this.#poll(signal).catch(refused)))) return this.#tell('refused');
      if (!signal.aborted) await pause(POLL_MS, signal);
    }
  }

  /** Read events until they end, or have not come for a time. */
  async #watch(signal) {
    const silence = new AbortController();
    const both = AbortSignal.any([signal, silence.signal]);
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const response = await send('watch', { signal: both, accept: 'text/event-stream' });
      const events = new EventReader();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        this.#tell('live');
        for (const { name, data } of events.feed(part.value)) this.onevent(name, withoutAsker(data));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #poll(signal) {
    try {
      const replica = await ask('replica', { query: { replica: this.#target }, signal });
      this.#tell('polling');
      this.onevent('replica', replica);
    } catch (problem) {
      if (signal.aborted) return;
      if (refused(problem)) throw problem;
      this.#tell('silent');
    }
  }

  #tell(state) {
    if (state === 'silent') this.#since ??= new Date();
    else this.#since = null;
    if (state === this.#state) return;
    this.#state = state;
    this.onstate(state, this.#since);
  }
}

/** Events are for all who watch: who one is oneself is not in them. */
function withoutAsker({ right, operator, ...data }) {
  return data;
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
