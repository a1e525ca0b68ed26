/** Types of client.js. Times are milliseconds; times of day are epoch milliseconds. */

export const FINAL_CLOSE_CODES: readonly number[];

export function fullJitter(attempt: number): number;

/** A message of the server; durable events carry `seq`. */
export interface ServerMessage<Data = any> {
  type: string;
  data: Data;
  seq?: number;
}

export interface Player {
  player_id: string;
  name: string;
}

export interface Welcome {
  connection_id: string;
  player: Player;
  game: Record<string, any>;
  last_seq: number;
  resumed: boolean;
  heartbeat_s: number;
  limits: Record<string, number>;
  server_time: number;
  replica: string;
}

/** Messages of the server that have a type of their own here; the others are `ServerMessage`. */
export interface ServerMessages {
  welcome: ServerMessage<Welcome>;
  player_joined: ServerMessage<Player & { at: number }>;
  player_ready: ServerMessage<{ player_id: string; status: 'ready' | 'not_ready'; at: number }>;
  player_progress: ServerMessage<{ player_id: string; percent?: number; lines?: number }>;
  countdown_started: ServerMessage<{ starts_at: number; at: number }>;
  game_started: ServerMessage<{ problem: Record<string, any>; starts_at: number; ends_at: number; players: any[]; at: number }>;
  code_submitted: ServerMessage<{ player_id: string; attempt: number; language: string; size: number; at: number }>;
  submission_judged: ServerMessage<{
    player_id: string;
    attempt: number;
    verdict: string;
    tests_passed: number;
    tests_total: number;
    duration_ms: number;
    at: number;
  }>;
  game_finished: ServerMessage<{ reason: string; winner: string | null; ranking: any[]; at: number }>;
  pong: ServerMessage<{ timestamp: number; server_time: number }>;
  ack: ServerMessage<{ id: string; seq?: number }>;
  error: ServerMessage<{ code: string; message: string; id?: string; index?: number; retry_after_ms?: number }>;
  token_expiring: ServerMessage<{ expires_at: number }>;
  disconnect: ServerMessage<{ code: number; reason: string; message: string; reconnect: boolean; retry_after_ms: number }>;
}

/** What the client tells of itself. */
export interface ClientEvents {
  state: { state: State };
  retry: { delayMs: number; attempt: number };
  /** It is over for good; `code` is a close code, or the HTTP status of a refusal (0: nobody answered). */
  end: { code: number; reason: string; detail: string };
}

export type State = 'idle' | 'connecting' | 'reconnecting' | 'open' | 'waiting' | 'closed';

/** As much of a WebSocket as the client needs: the browser's, Node's, and that of the `ws` package fit. */
export interface WebSocketLike {
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

export interface GameWebSocketOptions {
  /** The service, like wss://race.example.org; the page's own by default. */
  url?: string;
  /** The WebSocket class to use; the platform's by default. */
  WebSocket?: new (url: string, protocols: string[]) => WebSocketLike;
  /** How the token travels; `ticket`: a single-use ticket is fetched for the URL. `subprotocol` by default. */
  auth?: 'subprotocol' | 'ticket' | 'message' | 'query';
  /** Makes a fresh token; called when the old one runs out, or is refused. */
  refreshToken?: () => string | Promise<string>;
  /** Reconnects in a row, 5 by default; waits that the server asked for are none. */
  maxReconnectAttempts?: number;
  /** 30 000 by default. */
  pingIntervalMs?: number;
  /** Silence after a ping that means the connection is dead; 10 000 by default. */
  pongTimeoutMs?: number;
  /** 10 000 by default. */
  openTimeoutMs?: number;
  /** Resume from here; 0 asks for all events. */
  lastSeq?: number;
  /** Where to count; of its own by default. */
  metrics?: WebSocketMetrics;
}

export class WebSocketMetrics {
  connectionCount: number;
  messageCount: number;
  errorCount: number;
  reconnectCount: number;
  resumeCount: number;
  rttMs: number | null;
  recordConnection(): void;
  recordMessage(): void;
  recordError(): void;
  recordReconnect(): void;
  recordResume(): void;
  recordRtt(rttMs: number): void;
  getMetrics(): {
    connectionCount: number;
    messageCount: number;
    errorCount: number;
    reconnectCount: number;
    resumeCount: number;
    rttMs: number | null;
  };
}

export class Rejected extends Error {
  constructor(code: string, message: string, retryAfterMs?: number | null);
  readonly code: string;
  readonly retryAfterMs: number | null;
}

export class GameWebSocket {
  constructor(gameId: string, token: string, options?: GameWebSocketOptions);
  readonly gameId: string;
  ws: WebSocketLike | null;
  state: State;
  lastSeq: number | null;
  welcome: Welcome | null;
  metrics: WebSocketMetrics;
  reconnectAttempts: number;
  maxReconnectAttempts: number;
  get rttMs(): number | null;
  get readyState(): number;
  connect(): void;
  disconnect(): void;
  sendMessage(type: string, data: unknown, id?: string): boolean;
  request(type: string, data: unknown): Promise<number | null>;
  on<Type extends keyof ClientEvents>(type: Type, handler: (event: ClientEvents[Type]) => void): this;
  on<Type extends keyof ServerMessages>(type: Type, handler: (message: ServerMessages[Type]) => void): this;
  on(type: string, handler: (message: ServerMessage) => void): this;
  handleMessage(message: ServerMessage): void;
}

export class MessageBatcher {
  constructor(
    ws: GameWebSocket | { readonly readyState: number; send(data: string): void },
    batchSize?: number,
    batchDelay?: number,
  );
  messages: { type: string; data: unknown }[];
  addMessage(type: string, data: unknown): boolean;
  flush(): void;
  close(): void;
}

export class WebSocketPool {
  constructor(maxConnections?: number, options?: GameWebSocketOptions);
  readonly connections: Map<string, GameWebSocket>;
  getConnection(gameId: string, token: string): GameWebSocket;
  close(): void;
}
