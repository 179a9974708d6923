// @ts-check
// A publisher's HTTP requests. In these pages the browser plays the application's backend.

/**
 * The address of a path of this server, also where a proxy serves it below a path of its own.
 *
 * @param {string} path
 */
export const at = (path) => new URL(`../../..${path}`, import.meta.url).href;

/** A refused request; status 0 if there was no response. */
export class RequestError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.name = 'RequestError';
    this.status = status;
    this.code = code;
  }

  /** Whether the server rejected the token or its scope. */
  get isAboutToken() {
    return this.status === 401 || this.status === 403;
  }
}

/** One publisher's requests. */
export class Backend {
  /** @type {() => string | Promise<string>} */
  #token;

  /** @param {() => string | Promise<string>} token called before each request */
  constructor(token) {
    this.#token = token;
  }

  /** The value of the header `Authorization`. */
  async authorization() {
    return `Bearer ${await this.#token()}`;
  }

  /**
   * Sends a request and returns the response's data.
   *
   * @param {string} method
   * @param {string} path
   * @param {any} [body]
   * @returns {Promise<any>}
   */
  async request(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = { Authorization: await this.authorization() };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let response;
    try {
      response = await fetch(at(path), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: 'no-store',
      });
    } catch {
      throw new RequestError(0, 'unreachable', 'The server cannot be reached.');
    }
    let answer;
    try {
      answer = await response.json();
    } catch {
      throw new RequestError(
        response.status,
        'malformed',
        `The response (status ${response.status}) is not JSON.`,
      );
    }
    if (response.ok && answer.success) return answer.data;
    const { code = 'unknown', message = `The server answered with status ${response.status}.` } =
      answer.error ?? {};
    throw new RequestError(response.status, String(code), String(message));
  }
}

/** @param {string} user */
export const userPath = (user) => `/api/v1/users/${encodeURIComponent(user)}`;
