// The types of carillon.js.

export type State = 'connecting' | 'connected' | 'disconnected' | 'error';
export type Transport = 'websocket' | 'sse' | 'poll';
export type Priority = 'low' | 'normal' | 'high' | 'urgent';
export type PresenceStatus = 'online' | 'away' | 'busy' | 'offline';
/** A token, or a function that fetches one. It is called again when a fresh token is needed. */
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
  /** As published, unchecked: code that shows them must check labels and URLs. */
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

/** An event from the server in the form of the `event` dialect, for every transport. */
export interface ServerEvent<Data = unknown> extends Message<Data> {
  timestamp?: string;
}

export interface Clock {
  now(): number;
  setTimeout(run: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface Options {
  /**
   * URL of the server. Default: the server that the module was loaded from, or the page's origin
   * if the page bundles the module.
   */
  url?: string;
  token?: Token;
  /** Transports in the order in which they are tried. */
  transports?: Transport[];
  /** Milliseconds before the first reconnect attempt; doubles up to a minute. Default: 5000. */
  reconnectInterval?: number;
  /** Failed attempts after which the state is `error`. Default: Infinity. */
  maxReconnectAttempts?: number;
  autoReconnect?: boolean;
  /** Number of notifications in the store, at most 200. Default: 50. */
  capacity?: number;
  /** Whether the tabs of a browser share one connection. Default: true. */
  shared?: boolean;
  rooms?: string[];
  store?: NotificationStore;
  clock?: Clock;
  random?: () => number;
  fetch?: typeof fetch;
  WebSocket?: typeof WebSocket;
  BroadcastChannel?: typeof BroadcastChannel;
  locks?: LockManager;
}

export interface ListQuery {
  before?: string;
  limit?: number;
  unread?: boolean;
  type?: string;
  group_key?: string;
  /** Whether the newest notification represents its group. Default: true. */
  collapse?: boolean;
}

/** A notification in a page of a list, with the fields that only the REST API returns. */
export interface ListedNotification extends Notification {
  readonly group_count?: number;
  readonly read_at: string | null;
  readonly seen_at: string | null;
  readonly expires_at: string | null;
}

export interface Page {
  notifications: ListedNotification[];
  /** The value for `before` to get the next page; absent on the last page. */
  next?: string;
  unread: number;
  total: number;
}

export class CarillonError extends Error {
  constructor(
    status: number,
    code: string,
    message: string,
    retryAfter?: number,
    address?: string,
  );
  /** HTTP status, or the close code of a WebSocket; 0 if the server was not reached. */
  status: number;
  code: string;
  /** URL of the failed request. */
  address?: string;
  /** Milliseconds. */
  retryAfter?: number;
}

export interface CarillonEventMap {
  state: CustomEvent<State>;
  /** A live or a missed notification, dispatched once per client. */
  notification: CustomEvent<Notification>;
  /** Other counts than the last ones. The first may be older than a notification just received. */
  stats: CustomEvent<Stats>;
  read: CustomEvent<{ id: string }>;
  deleted: CustomEvent<{ id: string }>;
  /** Missed events cannot be replayed, so the list is loaded again. */
  resync: CustomEvent<undefined>;
  /** The user logged out or changed, and the client forgot everything of the user. */
  reset: CustomEvent<undefined>;
  /** A raw frame; only in the leader tab. */
  frame: CustomEvent<Frame>;
  /** Any other event from the server. */
  message: CustomEvent<Message>;
  /** Every event from the server. */
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
  /** Whether the client reconnects by itself when it is not connected. */
  readonly isWanted: boolean;
  readonly isVisible: boolean;
  readonly cursor: string | undefined;
  readonly stats: Stats | undefined;
  readonly rooms: string[];
  /** The id of the user, as the server names it; empty until the server has named it. */
  readonly user: string;
  /** Connects. While the client waits before the next attempt, it tries again at once. */
  connect(): void;
  /** Disconnects this tab until `connect` is called; other tabs stay connected. */
  pause(): void;
  /**
   * Logs out: disconnects and forgets the user's notifications, in all tabs of this user, until
   * `connect` is called.
   */
  disconnect(): void;
  /** Disconnects this tab and releases the client permanently. */
  close(): void;
  /** Sets the token of the same or of another user. An empty one logs out. */
  setToken(token: Token | null | undefined): void;
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
  /** Whether the list is known: false until the first one is loaded, and after a logout. */
  readonly loaded: boolean;
  /** Whether all notifications but the listed ones are about to be removed. */
  readonly clearing: boolean;
}

/**
 * A store that follows Svelte's store contract.
 *
 * Methods that change notifications resolve to true if the server accepted the change.
 */
export class NotificationStore {
  constructor(options?: { capacity?: number });
  readonly capacity: number;
  readonly value: StoreValue;
  subscribe(run: (value: StoreValue) => void): () => void;
  add(notification: Partial<Notification>): Promise<boolean>;
  markAsRead(id: string): Promise<boolean>;
  markAllAsRead(): Promise<boolean>;
  remove(id: string): Promise<boolean>;
  /**
   * Removes all notifications. Without a client, for example after `wsClient.disconnect()`, clears
   * only this page.
   *
   * With `undone` they are hidden at once, and removed when it resolves to false; true shows them
   * again. It must resolve within a minute. Notifications that come meanwhile are kept.
   */
  clear(undone?: Promise<boolean>): Promise<boolean>;
  setConnected(isConnected: boolean): void;
}

export interface Settings extends Options {
  /** The React that react.js uses, if it is not global. */
  React?: unknown;
}

/** Sets the options that all clients of the page are created with. */
export function configure(settings: Settings): void;
export function settings(): Settings;
export const notificationStore: NotificationStore;
/** Returns the client that feeds `notificationStore`, if one exists. */
export function defaultClient(): Carillon | undefined;
export const wsClient: {
  /** Connects. An empty token logs out. */
  connect(token: Token | null | undefined): void;
  /** Logs out, in all tabs of this user. */
  disconnect(): void;
  isConnected(): boolean;
};

/** Requests permission. Browsers require that a click triggers the call. */
export function requestPermission(): Promise<NotificationPermission | 'unsupported'>;

export interface NativeOptions {
  icon?: string;
  /** Returns whether to show a notification. Default: all are shown. */
  filter?: (notification: Notification) => boolean;
  /** Opens the URL of a clicked notification. Default: the page navigates to it. */
  open?: (url: string, notification: Notification) => void;
  registration?: ServiceWorkerRegistration;
}

/** Shows notifications that arrive while no tab is visible. Returns a function that stops it. */
export function nativeNotifications(client: Carillon, options?: NativeOptions): () => void;
