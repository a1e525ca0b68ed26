/** Where one is: the view, its id and what is asked of it, all in the part of the URL that no server sees. */

/** Read the place: `#/games/ID?after=3` is `{ view: 'games', id: 'ID', query: { after: '3' } }`. */
export function here() {
  const [path, search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [view, ...id] = path.split('/').map(decoded);
  return { view: view || 'replica', id: id.join('/'), query: Object.fromEntries(new URLSearchParams(search)) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The link to a view; the replica that is looked at stays, unless another is named. */
export function to(view, id = '', query = {}) {
  const all = { replica: here().query.replica, ...query };
  const known = Object.entries(all).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const search = new URLSearchParams(known).toString();
  return `#/${view === 'replica' ? '' : view}${id ? `/${encodeURIComponent(id)}` : ''}${search ? `?${search}` : ''}`;
}

/** The link to where one is, with some of what is asked changed. */
export function but(changes) {
  const { view, id, query } = here();
  return to(view, id, { ...query, ...changes });
}

/** Which replica has a connection: the one that is looked at, else the one whose instance its id begins with. */
export const ofConnection = (id, query) => ({ replica: ofOne(query).replica ?? (id.includes('-') ? id.slice(0, id.lastIndexOf('-')) : undefined) });

/** Whether no replica is chosen; links say `all` too. */
export const isOfAll = ({ replica }) => !replica || replica === 'all';

/** The place's replica as a parameter of a list, which is of all where none is chosen, and of what one replica alone can answer. */
export const ofAll = (query) => (isOfAll(query) ? { replicas: 'all' } : { replica: query.replica });
export const ofOne = (query) => ({ replica: isOfAll(query) ? undefined : query.replica });

/** Whose a list is, in words. */
export const whose = (query) => (isOfAll(query) ? 'all replicas' : query.replica);
