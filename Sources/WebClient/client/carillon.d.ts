// The types of carillon.js.

export type State = 'connecting' | 'connected' | 'disconnected' | 'error';
export type Transport = 'websocket' | 'sse' | 'poll';
export type Priority = 'low' | 'normal' | 'high' | 'urgent';
export type PresenceStatus = 'online' | 'away' | 'busy' | 'offline';
/** A token, or what fetches one; that is called again when the server wants a fresh one. */
export type Token = string | (() => string | Promise<string>);

export interface Notification {
  readonly id: string;
  readonly type: string;
  readonly priority: Priority;
  readonly title: string;
  readonly message: string;
  readonly entity_type: string | null;
  readonly entity_id: string | null;
  readonly entity_url: string | null;
  readonly is_read: boolean;
  /** RFC 3339. */
  readonly created_at: string;
  readonly data: Record<string, unknown>;
  /** As the publisher wrote them; a client that shows them checks what they are. */
  readonly actions: readonly { label: string; url: string }[];
  readonly group_key: string | null;
}

export interface Stats {
  total: number;
  unread: number;
  unseen: number;
  by_priority: Record<Priority, number>;
}

export interface Frame {
  direction: 'in' | 'out';
  text: string;
  /** Milliseconds since 1970. */
  time: number;
}

export interface Message<Data = unknown> {
  event: string;
  data: Data;
}

/** What the server told, in the form of the `event` dialect, whichever way it came. */
export interface ServerEvent<Data = unknown> extends Message<Data> {
  timestamp?: string;
}

export interface Clock {
  now(): number;
  setTimeout(run: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface Options {
  /** Where the server is; the page's own origin if left out. */
  url?: string;
  token?: Token;
  /** In the order in which they are tried. */
  transports?: Transport[];
  /** Milliseconds before the first attempt to come back; it doubles up to a minute. 5000. */
  reconnectInterval?: number;
  /** Attempts without success, after which the state is `error`. Infinity. */
  maxReconnectAttempts?: number;
  autoReconnect?: boolean;
  /** How many notifications the store shows, 200 at the most. 50. */
  capacity?: number;
  /** Whether the tabs of a browser share a connection. */
  shared?: boolean;
  rooms?: string[];
  store?: NotificationStore;
  clock?: Clock;
  random?: () => number;
  fetch?: typeof fetch;
  WebSocket?: typeof WebSocket;
  EventSource?: typeof EventSource;
  BroadcastChannel?: typeof BroadcastChannel;
  locks?: LockManager;
}

export interface ListQuery {
  before?: string;
  limit?: number;
  unread?: boolean;
  type?: string;
  group_key?: string;
  /** Whether one notification stands for its group. true */
  collapse?: boolean;
}

/** A notification of a page, with all that REST says of it. */
export interface ListedNotification extends Notification {
  readonly group_count?: number;
  readonly read_at: string | null;
  readonly seen_at: string | null;
  readonly expires_at: string | null;
}

export interface Page {
  notifications: ListedNotification[];
  /** What to pass as `before`; absent on the last page. */
  next?: string;
  unread: number;
  total: number;
}

export class CarillonError extends Error {
  constructor(status: number, code: string, message: string, retryAfter?: number);
  /** Of HTTP, or the close code of a WebSocket; 0 where the server was not reached. */
  status: number;
  code: string;
  /** Milliseconds. */
  retryAfter?: number;
}

export interface CarillonEventMap {
  state: CustomEvent<State>;
  /** Live or missed, and new to this browser. */
  notification: CustomEvent<Notification>;
  stats: CustomEvent<Stats>;
  read: CustomEvent<{ id: string }>;
  deleted: CustomEvent<{ id: string }>;
  /** What was missed cannot be told; the list was loaded anew. */
  resync: CustomEvent<undefined>;
  /** Only in the tab that leads. */
  frame: CustomEvent<Frame>;
  /** Everything else that the server told. */
  message: CustomEvent<Message>;
  /** Everything that the server told. */
  event: CustomEvent<ServerEvent>;
  error: CustomEvent<Error>;
}

/** One user's client in one page. */
export class Carillon extends EventTarget {
  constructor(options?: Options);
  readonly url: string;
  readonly options: Required<Omit<Options, 'url' | 'token' | 'store'>>;
  readonly store: NotificationStore;
  readonly state: State;
  readonly isLeader: boolean;
  /** Whether it comes back by itself when it is not connected. */
  readonly isWanted: boolean;
  readonly isVisible: boolean;
  readonly cursor: string | undefined;
  readonly stats: Stats | undefined;
  readonly rooms: string[];
  /** The user of the token; empty as long as there is none. */
  readonly user: string;
  connect(): void;
  /** Leaves until `connect`; the other tabs go on. */
  disconnect(): void;
  /** Ends for good. */
  close(): void;
  setToken(token: Token): void;
  join(room: string): void;
  leave(room: string): void;
  list(query?: ListQuery): Promise<Page>;
  // deno-lint-ignore no-explicit-any -- The caller names the type of the answer, or leaves it open.
  request<Data = any>(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<Data>;
  typing(room: string, isTyping?: boolean): Promise<unknown>;
  presence(status: PresenceStatus): Promise<unknown>;
  addEventListener<Name extends keyof CarillonEventMap>(
    name: Name,
    run: (event: CarillonEventMap[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    name: string,
    run: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Name extends keyof CarillonEventMap>(
    name: Name,
    run: (event: CarillonEventMap[Name]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    name: string,
    run: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

export interface StoreValue {
  /** Newest first. */
  readonly notifications: readonly Notification[];
  readonly unreadCount: number;
  readonly connected: boolean;
  readonly state: State;
}

/** Of Svelte's store contract. What a page does resolves to whether the server granted it. */
export class NotificationStore {
  constructor(options?: { capacity?: number });
  readonly capacity: number;
  readonly value: StoreValue;
  subscribe(run: (value: StoreValue) => void): () => void;
  add(notification: Partial<Notification>): Promise<boolean>;
  markAsRead(id: string): Promise<boolean>;
  markAllAsRead(): Promise<boolean>;
  remove(id: string): Promise<boolean>;
  /** Without a client, after `wsClient.disconnect()` for example, it clears this page alone. */
  clear(): Promise<boolean>;
  setConnected(isConnected: boolean): void;
}

export interface Settings extends Options {
  /** For react.js, where it is not global. */
  React?: unknown;
}

/** Says once for the page what its clients are made with. */
export function configure(settings: Settings): void;
export function settings(): Settings;
export const notificationStore: NotificationStore;
/** The client behind `notificationStore`, while there is one. */
export function defaultClient(): Carillon | undefined;
export const wsClient: {
  connect(token: Token): void;
  disconnect(): void;
  isConnected(): boolean;
};

/** To be called on a person's click. */
export function requestPermission(): Promise<NotificationPermission | 'unsupported'>;

export interface NativeOptions {
  icon?: string;
  /** Which are shown; all if left out. */
  filter?: (notification: Notification) => boolean;
  /** Follows the URL of one that was clicked. */
  open?: (url: string, notification: Notification) => void;
  registration?: ServiceWorkerRegistration;
}

/** Shows what arrives while no tab is visible. Returns what ends that. */
export function nativeNotifications(client: Carillon, options?: NativeOptions): () => void;
