/** Types of http.js. Times of day are RFC 3339. */
import type { FinishRule, GameSnapshot, Language, TestReport, Verdict } from './client.js';

export class Refused extends Error {
  constructor(status: number, reason: string, detail: string, retryAfterMs?: number | null);
  readonly status: number;
  /** A closed word; empty where the answer is not the service's. */
  readonly reason: string;
  readonly detail: string;
  readonly retryAfterMs: number | null;
}

export interface CallOptions {
  /** Another time than that of the `Api`. */
  timeoutMs?: number;
  /** Another token than that of the `Api`. */
  token?: string;
  signal?: AbortSignal;
}

export interface Guest {
  token: string;
  player_id: string;
  name: string;
  expires_at: string;
}

export interface Ticket {
  ticket: string;
  expires_at: string;
  expires_in_s: number;
}

export interface GameWishes {
  problem?: string;
  min_players?: number;
  max_players?: number;
  time_limit_s?: number;
  finish?: FinishRule;
}

export interface GameDocument extends Omit<GameSnapshot, 'created_at' | 'starts_at' | 'ends_at'> {
  created_at: string;
  starts_at: string | null;
  ends_at: string | null;
}

export interface NewGame extends GameDocument {
  ws_url: string;
}

export interface Submission {
  attempt: number;
  language: Language;
  code: string;
  submitted_at: string;
  /** Null until it is judged; what follows comes with it. */
  verdict: Verdict | null;
  detail?: string;
  tests_passed?: number;
  tests_total?: number;
  duration_ms?: number;
  judged_at?: string;
  tests?: TestReport[];
}

export interface ProblemListed {
  id: string;
  title: string;
  difficulty: string;
}

export class Api {
  constructor(url?: string, options?: { token?: string; timeoutMs?: number });
  readonly url: string;
  token?: string;
  timeoutMs: number;
  get wsUrl(): string;
  guest(name: string, options?: CallOptions): Promise<Guest>;
  ticket(options?: CallOptions): Promise<Ticket>;
  createGame(wishes?: GameWishes, options?: CallOptions): Promise<NewGame>;
  game(gameId: string, options?: CallOptions): Promise<GameDocument>;
  submission(gameId: string, attempt: number, options?: CallOptions): Promise<Submission>;
  problems(options?: CallOptions): Promise<ProblemListed[]>;
}
