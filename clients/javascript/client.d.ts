/** Types of client.js. Times are milliseconds; times of day are epoch milliseconds. */

/** The version of this client. */
export const VERSION: string;

export const FINAL_CLOSE_CODES: readonly number[];

export const FINAL_REASONS: readonly string[];

/** Where a client stands with its game: all there are. */
export const STATES: readonly ['idle', 'connecting', 'open', 'waiting', 'reconnecting', 'closed'];

export type State = typeof STATES[number];

export function fullJitter(attempt: number): number;

/** A message of the server. */
export interface ServerMessage<Data = any, Type extends string = string> {
  type: Type;
  data: Data;
  seq?: number;
}

/** A durable event: `seq` is its number in the game. */
export interface ServerEvent<Data = any, Type extends string = string> extends ServerMessage<Data, Type> {
  seq: number;
}

// generated: messages
/** The game was made. */
export interface GameCreatedData {
  game_id: string;
  host_id: string;
  at: number;
}

/** A player came in, for the first time or again after having left. */
export interface PlayerJoinedData {
  player_id: string;
  name: string;
  at: number;
}

/** Whether a player is ready to start. */
export type ReadyStatus = 'ready' | 'not_ready';

/** A player said to be ready, or not to be ready any more. */
export interface PlayerReadyData {
  player_id: string;
  status: ReadyStatus;
  at: number;
}

/** Enough players are in and all are ready. */
export interface CountdownStartedData {
  starts_at: number;
  at: number;
}

/** A player left or is no longer ready: back to waiting. */
export interface CountdownCancelledData {
  at: number;
}

/** A test that players may read: call arguments and expected value as JSON values. */
export interface VisibleTest {
  args: Array<any>;
  expected: any;
}

/** The public part of a problem: no hidden test, no solution. */
export interface Problem {
  id: string;
  title: string;
  difficulty: string;
  statement: string;
  starter: string;
  tests: Array<VisibleTest>;
}

/** A player at the start. */
export interface StartedPlayer {
  player_id: string;
  name: string;
}

/** The race runs: the problem is revealed. */
export interface GameStartedData {
  problem: Problem;
  starts_at: number;
  ends_at: number;
  players: Array<StartedPlayer>;
  at: number;
}

/** A player handed in `size` bytes of code, which nobody else is shown. */
export interface CodeSubmittedData {
  player_id: string;
  attempt: number;
  language: string;
  size: number;
  at: number;
}

/** What the judge says of a submission. */
export type Verdict = 'accepted' | 'wrong_answer' | 'runtime_error' | 'time_limit' | 'memory_limit' | 'invalid' | 'unsupported' | 'judge_error';

/** The judge's verdict. */
export interface SubmissionJudgedData {
  player_id: string;
  attempt: number;
  verdict: Verdict;
  tests_passed: number;
  tests_total: number;
  duration_ms: number;
  attempts?: number | null;
  at: number;
}

/** A player's connection is gone; the player stays in the game until `grace_until`. */
export interface PlayerDisconnectedData {
  player_id: string;
  grace_until: number;
  at: number;
}

/** A player is connected again. */
export interface PlayerReconnectedData {
  player_id: string;
  at: number;
}

/** Why a player is out of the game. */
export type LeaveReason = 'left' | 'grace_expired' | 'removed';

/** A player is out of the game. */
export interface PlayerLeftData {
  player_id: string;
  reason: LeaveReason;
  at: number;
}

/** Why a game ended; `ended`: an operator ended it. */
export type FinishReason = 'first_accepted' | 'all_done' | 'time_limit' | 'abandoned' | 'expired' | 'ended';

/** One line of the ranking; `solved_ms` counts from the start to the accepted submission. */
export interface RankingEntry {
  rank: number;
  player_id: string;
  name: string;
  accepted: boolean;
  tests_passed: number;
  attempts: number;
  solved_ms: number | null;
}

/** The game is over. */
export interface GameFinishedData {
  reason: FinishReason;
  winner: string | null;
  ranking: Array<RankingEntry>;
  at: number;
}

/** Who you are. */
export interface PlayerCard {
  player_id: string;
  name: string;
}

/** Where a game is; it only moves forward, but for a cancelled countdown. */
export type Phase = 'waiting' | 'countdown' | 'running' | 'finished';

/** When a race ends: with the first accepted solution, or once everybody is done. */
export type FinishRule = 'first_accepted' | 'all_done';

/** The problem in a snapshot: statement, starter and tests only once the race has started. */
export interface ProblemCard {
  id: string;
  title: string;
  difficulty: string;
  statement?: string;
  starter?: string;
  tests?: Array<VisibleTest>;
}

/** Whether a player of a snapshot is still in the game. */
export type MemberStatus = 'active' | 'left';

/** A player in a snapshot. `tests_total`: how many tests there are, 0 until the judge has said so. */
export interface PlayerState {
  player_id: string;
  name: string;
  status: MemberStatus;
  ready: boolean;
  connected: boolean;
  attempts: number;
  tests_passed: number;
  accepted: boolean;
  judging: boolean;
  tests_total?: number;
}

/** The whole public state of a game; the problem is a card until the race starts. */
export interface GameSnapshot {
  game_id: string;
  state: Phase;
  host_id: string;
  created_at: number;
  min_players: number;
  max_players: number;
  time_limit_s: number;
  finish: FinishRule;
  problem: ProblemCard;
  players: Array<PlayerState>;
  starts_at: number | null;
  ends_at: number | null;
  reason: FinishReason | null;
  winner: string | null;
  ranking: Array<RankingEntry>;
}

/** The first message of every connection that is let in. */
export interface WelcomeData {
  connection_id: string;
  player: PlayerCard;
  game: GameSnapshot;
  last_seq: number;
  resumed: boolean;
  heartbeat_s: number;
  limits: Record<string, number>;
  server_time: number;
  replica: string;
  accepts: Array<string>;
}

/** How far another player is; may be dropped or replaced by a newer one. */
export interface PlayerProgressData {
  player_id: string;
  percent?: number;
  lines?: number;
}

/** The outcome of one visible test; values as short texts. */
export interface TestReport {
  input: string;
  expected: string;
  got: string;
  passed: boolean;
}

/** The visible tests, to the submitter alone. */
export interface SubmissionResultData {
  attempt: number;
  verdict: Verdict;
  detail: string;
  tests: Array<TestReport>;
}

/** The answer to a ping. */
export interface PongData {
  timestamp: number;
  server_time: number;
}

/** The message with this id was taken; `seq` is that of the event it caused. */
export interface AckData {
  id: string;
  seq?: number;
}

/** Codes of ``error`` messages, a closed set. */
export type ErrorCode = 'invalid_json' | 'invalid_data' | 'unknown_type' | 'not_allowed' | 'batch_too_large' | 'game_full' | 'game_running' | 'game_over' | 'auth_failed' | 'rate_limited' | 'unavailable' | 'internal';

/** A message was refused; the connection lives on. */
export interface ErrorData {
  code: ErrorCode;
  message: string;
  id?: string;
  index?: number;
  retry_after_ms?: number;
}

/** Send a fresh token in an auth message before this. */
export interface TokenExpiringData {
  expires_at: number;
}

/** The server is about to close, and this is the last message; what to do then. */
export interface DisconnectData {
  code: number;
  reason: string;
  message: string;
  reconnect: boolean;
  retry_after_ms: number;
}

/** ``ready``: the player is, or is no longer, ready to start. */
export interface ReadyData {
  status?: ReadyStatus;
}

/** ``ping``: answered by ``pong``; `rtt_ms` is the round trip the client measured last. */
export interface PingData {
  timestamp: number;
  rtt_ms?: number | null;
}

/** What a submission is written in. */
export type Language = 'python';

/** ``submit_code``: a solution to be judged. */
export interface SubmitCodeData {
  code: string;
  language?: Language;
}

/** ``progress``: how far the player is; shown to the others, never stored. */
export interface ProgressData {
  percent?: number | null;
  lines?: number | null;
}

/** ``leave``: out of the game for good; answered by ``player_left`` and close 1000. */
export type LeaveData = Record<string, never>;

/** ``hello``: what the client met on its way, once a connection; nobody can verify it. */
export interface HelloData {
  reconnects?: number | null;
  failed_attempts?: number | null;
  open_ms?: number | null;
  join_ms?: number | null;
  outage_ms?: number | null;
}

/** ``auth``: the first message of a connection that came without a token, or a fresh token for a running one. */
export interface AuthData {
  token: string;
}

/** Every message of the server, by type. */
export interface ServerMessages {
  game_created: ServerEvent<GameCreatedData, 'game_created'>;
  player_joined: ServerEvent<PlayerJoinedData, 'player_joined'>;
  player_ready: ServerEvent<PlayerReadyData, 'player_ready'>;
  countdown_started: ServerEvent<CountdownStartedData, 'countdown_started'>;
  countdown_cancelled: ServerEvent<CountdownCancelledData, 'countdown_cancelled'>;
  game_started: ServerEvent<GameStartedData, 'game_started'>;
  code_submitted: ServerEvent<CodeSubmittedData, 'code_submitted'>;
  submission_judged: ServerEvent<SubmissionJudgedData, 'submission_judged'>;
  player_disconnected: ServerEvent<PlayerDisconnectedData, 'player_disconnected'>;
  player_reconnected: ServerEvent<PlayerReconnectedData, 'player_reconnected'>;
  player_left: ServerEvent<PlayerLeftData, 'player_left'>;
  game_finished: ServerEvent<GameFinishedData, 'game_finished'>;
  welcome: ServerMessage<WelcomeData, 'welcome'>;
  player_progress: ServerMessage<PlayerProgressData, 'player_progress'>;
  submission_result: ServerMessage<SubmissionResultData, 'submission_result'>;
  pong: ServerMessage<PongData, 'pong'>;
  ack: ServerMessage<AckData, 'ack'>;
  error: ServerMessage<ErrorData, 'error'>;
  token_expiring: ServerMessage<TokenExpiringData, 'token_expiring'>;
  disconnect: ServerMessage<DisconnectData, 'disconnect'>;
}

/** The data of every message of a client, by type. */
export interface ClientMessages {
  ready: ReadyData;
  ping: PingData;
  submit_code: SubmitCodeData;
  progress: ProgressData;
  leave: LeaveData;
  hello: HelloData;
  auth: AuthData;
  batch: Array<ClientMessage>;
}
// end of generated

/** A message of a client, as it stands in a batch. */
export type ClientMessage = {
  [Type in Exclude<keyof ClientMessages, 'batch'>]: { type: Type; data: ClientMessages[Type]; id?: string };
}[Exclude<keyof ClientMessages, 'batch'>];

export type Player = PlayerCard;
export type Welcome = WelcomeData;

/** What the client tells of itself. */
export interface ClientEvents {
  state: { state: State };
  /** It waits to try again, and why; `attempt` counts those in a row that nobody asked for. */
  retry: { delayMs: number; attempt: number; code: number; reason: string; detail: string };
  /**
   * It is over for good, until `connect` is called again. `code` is a close code, or the HTTP status of a refusal (0:
   * nobody answered, or no WebSocket can be made here); `reason` the word of the close or of the refusal.
   */
  end: { code: number; reason: string; detail: string };
  /** A handler for `type` has thrown, or its promise was rejected; or `refreshToken` has, then that is the type. */
  fault: { error: unknown; type: string };
  /** A message that waited for the connection (option `queue`) will not be sent, or was refused. */
  dropped: { type: string; data: unknown; error: Error };
}

/** Any message of the server; `type` tells which. */
export type AnyServerMessage = ServerMessages[keyof ServerMessages];

/**
 * All that can be listened to, `'*'` for every message of the server. A type that a later release of the server has is
 * added by merging into `ServerMessages`: `declare module '@code-racer/client' { interface ServerMessages { … } }`.
 */
export interface Events extends ClientEvents, ServerMessages {
  '*': AnyServerMessage;
}

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
  /**
   * Makes a fresh token; called when the old one runs out, or is refused. Where it throws, or takes longer than
   * `openTimeoutMs`, it is called again later; where the error has `final: true`, that is the end.
   */
  refreshToken?: () => string | Promise<string>;
  /** Reconnects in a row; waits that the server asked for are none. Not bounded by number by default, null. */
  maxReconnectAttempts?: number | null;
  /** How long without a connection it goes on trying; three hours by default, 10 800 000; 0: for ever. */
  giveUpAfterMs?: number;
  /** 30 000 by default; this and the next two are at least 100. */
  pingIntervalMs?: number;
  /** Silence after a ping that means the connection is dead; 10 000 by default. */
  pongTimeoutMs?: number;
  /** 10 000 by default. */
  openTimeoutMs?: number;
  /** Resume from here; 0 asks for all events. */
  lastSeq?: number | null;
  /** Where to count; of its own by default. */
  metrics?: WebSocketMetrics;
  /** What program this is, as name/version; the service counts by it what it knows. Empty: says nothing. */
  client?: string;
  /**
   * So many messages may wait for the connection where it is down: `sendMessage` keeps them, in order, until the next
   * `welcome`, and each is applied once. None by default. What says how things are now is never kept (`ping`,
   * `progress`), nor a `batch`.
   */
  queue?: number;
  /**
   * Is told each change of state, wait, end and dropped message, and type and number of each message; never a token, nor
   * what a message holds. For one's own eyes: `debug: console.debug`.
   */
  debug?: (what: string, details: Record<string, unknown>) => void;
}

export interface WaitOptions {
  /** How long to wait, reconnects included; for as long as it takes by default. */
  timeoutMs?: number;
  /** Gives up; what was sent may be applied all the same. */
  signal?: AbortSignal;
}

export interface RequestOptions extends WaitOptions {
  /** By which the server knows a message that it has had; one of its own by default. */
  id?: string;
}

export interface WaitForOptions extends WaitOptions {
  /** Take one of the last 100 events too, if its `seq` is greater. */
  since?: number;
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
  constructor(code: string, message: string);
  readonly code: string;
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
  maxReconnectAttempts: number | null;
  rttMs: number | null;
  get readyState(): number;
  get [Symbol.toStringTag](): string;
  connect(): void;
  disconnect(): void;
  /** True: sent; `'queued'`: it waits for the connection (option `queue`); false: not sent. */
  sendMessage<Type extends keyof ClientMessages>(type: Type, data: ClientMessages[Type], id?: string): boolean | 'queued';
  request<Type extends ClientMessage['type']>(
    type: Type,
    data: ClientMessages[Type],
    options?: RequestOptions,
  ): Promise<number | null>;
  waitFor<Type extends keyof ServerMessages>(type: Type, options?: WaitForOptions): Promise<ServerMessages[Type]>;
  on<Type extends keyof Events>(type: Type, handler: (event: Events[Type]) => unknown): this;
  once<Type extends keyof Events>(type: Type, handler: (event: Events[Type]) => unknown): this;
  off<Type extends keyof Events>(type: Type, handler: (event: Events[Type]) => unknown): this;
  handleMessage(message: ServerMessage): void;
}

export class MessageBatcher {
  constructor(
    ws: GameWebSocket | { readonly readyState: number; send(data: string): void },
    batchSize?: number,
    batchDelay?: number,
  );
  messages: ClientMessage[];
  addMessage<Type extends ClientMessage['type']>(type: Type, data: ClientMessages[Type]): boolean;
  flush(): void;
  close(): void;
}
