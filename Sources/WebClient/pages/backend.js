// @ts-check
// What a publisher asks of the server over HTTP: here a page plays the application's backend.

/** An answer that was a refusal; status 0 when there was no answer at all. */
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

  /** Whether it was the token that was refused, or that it may too little. */
  get isAboutToken() {
    return this.status === 401 || this.status === 403;
  }
}

/** One publisher's requests. */
export class Backend {
  /** @type {() => string | Promise<string>} */
  #token;

  /** @param {() => string | Promise<string>} token asked before each request */
  constructor(token) {
    this.#token = token;
  }

  /**
   * The answer's data.
   *
   * @param {string} method
   * @param {string} path
   * @param {any} [body]
   * @returns {Promise<any>}
   */
  async request(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = { Authorization: `Bearer ${await this.#token()}` };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let response;
    try {
      response = await fetch(path, {
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
        `The answer ${response.status} was no JSON.`,
      );
    }
    if (response.ok && answer.success) return answer.data;
    const { code = 'unknown', message = `The answer was ${response.status}.` } = answer.error ?? {};
    throw new RequestError(response.status, String(code), String(message));
  }
}

/** @param {string} user */
export const userPath = (user) => `/api/v1/users/${encodeURIComponent(user)}`;
