/** Types of presence.js. */
import type { GameWebSocket } from './client.js';

/** Somebody in the game. */
export interface Present {
  readonly player_id: string;
  readonly name: string;
  readonly ready: boolean;
  readonly connected: boolean;
}

export class Presence {
  constructor(game: GameWebSocket, onChange?: (players: Present[]) => unknown);
  get players(): Present[];
  get(playerId: string): Present | undefined;
  close(): void;
}
