// A race in React's strict mode, which mounts, unmounts and mounts again. The client is made by the effect, or, with
// ?kept, before it and connected by it.
import { StrictMode, createElement, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { GameWebSocket } from '@code-racer/client';

const asked = new URLSearchParams(location.hash.slice(1));
const sockets = [];
class Counted extends WebSocket {
  constructor(...address) {
    super(...address);
    sockets.push(this);
  }
}
const client = () => new GameWebSocket(asked.get('game'), asked.get('token'), { url: asked.get('url'), WebSocket: Counted });
const kept = asked.has('kept') ? client() : null;
const told = { mounts: 0, ends: [] };

function Race() {
  const [state, setState] = useState('idle');
  useEffect(() => {
    told.mounts += 1;
    const game = kept ?? client();
    const note = (event) => setState(event.state);
    const noteEnd = (event) => told.ends.push(event.reason);
    game.on('state', note).on('end', noteEnd);
    game.connect();
    return () => {
      game.off('state', note);
      game.disconnect();
    };
  }, []);
  return createElement('p', null, state);
}

const root = createRoot(document.getElementById('root'));
root.render(createElement(StrictMode, null, createElement(Race)));
window.unmount = () => root.unmount();
window.told = () => ({ ...told, open: sockets.filter(({ readyState }) => readyState !== WebSocket.CLOSED).length });
