// @ts-check
// The server: addresses below its prefix, and requests that carry the form token.

/** @param {string} name */
const meta = (name) =>
  /** @type {HTMLMetaElement | null} */ (globalThis.document?.querySelector(`meta[name="${name}"]`))?.content ?? "";

/** The prefix below which the server answers, "" or as "/digits". */
export const root = meta("digits-root");

/**
 * Path of the server below its prefix.
 * @param {string} path
 */
export const url = (path) => root + path;

/**
 * The opposite of `url`: what a template wrote as an address, as a path for `request`.
 * @param {string} address
 */
export const below = (address) => address.slice(root.length);

/** What proves that a request comes from one of our own pages. */
export const tokenHeader = () => ({ "X-CSRF-Token": meta("csrf-token") });

/**
 * What answers mean that do not come from digits, but from a proxy in front of it.
 * @type {Record<number, string>}
 */
const OF_PROXIES = {
  413:
    "This is more than the proxy in front of digits lets through. Its administrator can raise that limit (nginx: client_max_body_size).",
  502: "The proxy in front of digits does not reach it: it may be starting. Try again in a moment.",
  504: "The proxy in front of digits waited too long for an answer. Try again in a moment.",
};

/** The server's refusal: its message, the HTTP status and the whole answer. */
export class RequestError extends Error {
  /**
   * @param {number} status
   * @param {any} value
   */
  constructor(status, value) {
    super(messageOf(value) || OF_PROXIES[status] || `The server answered ${status}.`);
    this.status = status;
    this.value = value;
  }
}

/**
 * fetch with the form token: the answer as it came, for those who need its headers or several kinds of it.
 * @param {string} path below the prefix
 * @param {RequestInit & {headers?: Record<string, string>}} [options]
 */
export const send = (path, { headers, ...options } = {}) =>
  fetch(url(path), { ...options, headers: { ...tokenHeader(), ...headers }, credentials: "same-origin" });

/**
 * `send` that reads JSON or text, and throws a RequestError with the server's message.
 * @param {string} path below the prefix
 * @param {{method?: string, data?: Record<string, any>, body?: BodyInit, signal?: AbortSignal}} [options]
 *   `data` is sent as a form; a list sends its name once for each item
 * @returns {Promise<any>}
 */
export async function request(path, { method = "GET", data, body, signal } = {}) {
  const headers = { Accept: "application/json" };
  const response = await send(path, { method, headers, body: data ? formOf(data) : body, signal });
  const json = (response.headers.get("Content-Type") || "").includes("json");
  const value = json ? await response.json() : await response.text();
  if (response.ok) return value;
  throw new RequestError(response.status, value);
}

/** @param {Record<string, any>} data */
function formOf(data) {
  const form = new URLSearchParams();
  for (const [key, value] of Object.entries(data)) {
    for (const item of Array.isArray(value) ? value : [value]) form.append(key, item);
  }
  return form;
}

/**
 * What an answer says, in one line.
 * @param {any} value
 * @returns {string}
 */
export function messageOf(value) {
  if (value?.errors) return Object.entries(value.errors).map(([name, texts]) => `${name}: ${texts.join(" ")}`).join(" ");
  if (value?.error) return [value.error.message, value.error.description].filter(Boolean).join(" ");
  return typeof value === "string" && !value.trimStart().startsWith("<") ? value.slice(0, 300) : "";
}

/**
 * The page of now as the server would write it anew.
 * @returns {Promise<Document>}
 */
export async function loadPage() {
  const response = await fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
  if (!response.ok) throw new RequestError(response.status, null);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}
