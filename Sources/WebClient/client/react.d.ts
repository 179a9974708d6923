// The types of react.js.

import type { Notification, Options, ServerEvent, State, Stats } from './carillon.js';

/** The options that incident-api uses, and all options of a client. */
export interface HookOptions extends Options {
  onNotification?: (notification: Notification) => void;
  onStatsUpdate?: (stats: Stats) => void;
  onConnect?: () => void;
  onDisconnect?: () => void;
  onError?: (error: Error) => void;
  /** Default: true. */
  autoReconnect?: boolean;
  /** Milliseconds. Default: 5000. */
  reconnectInterval?: number;
  /** Default: 10. */
  maxReconnectAttempts?: number;
}

export interface HookResult {
  isConnected: boolean;
  connectionState: State;
  connect: () => void;
  disconnect: () => void;
  // deno-lint-ignore no-explicit-any -- Fields are read without a cast once `event` is known.
  lastMessage: ServerEvent<any> | null;
}

/**
 * Follows one user's notifications.
 *
 * All components of a page with the same server and token share one connection, which closes when
 * the last of them unmounts. The first component decides the reconnect options.
 *
 * Removing the token logs out, in all tabs of the user; `disconnect` disconnects only this page.
 *
 * A `token` function must be the same function on each render.
 */
export function useNotificationWebSocket(options?: HookOptions): HookResult;
