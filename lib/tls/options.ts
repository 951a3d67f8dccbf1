// What a user says of TLS, by the names of Node's own options, and what is built of it. Invariants: who the peer
// is gets verified unless the options say otherwise, whatever the environment says; nothing below TLS 1.2 is spoken
// unless the options say so. Reading keys and certificates costs milliseconds, so it is done once for each options
// object.

import type tls from 'node:tls';
import { isIP } from 'node:net';
import { inWords } from '../../scheduler/kernel/errors.ts';
import { checkDuration, timeLimit } from '../common/checks.ts';
import { builtin } from '../reactor/builtin.ts';

/**
 * How to speak TLS: `key`, `cert`, `ca` and whatever else node:tls makes a secure context of, and what follows.
 * The names are those of node:tls. What is built of an options object is kept with it: hand the same one in again,
 * and do not change it.
 *
 * @example
 * ```ts
 * import { type TlsOptions } from 'skein';
 *
 * const options: TlsOptions = { ALPNProtocols: ['h2', 'http/1.1'], minVersion: 'TLSv1.3' };
 * console.log(options.minVersion);
 * ```
 */
export interface TlsOptions extends Omit<tls.SecureContextOptions, 'secureProtocol'> {
  /** The protocols to be spoken upon TLS, the preferred one first: `['h2', 'http/1.1']`. */
  readonly ALPNProtocols?: string[] | undefined;
  /** A server asks its clients for a certificate. Default false. */
  readonly requestCert?: boolean | undefined;
  /** A peer whose certificate cannot be verified is refused. Default true, whatever the environment says. */
  readonly rejectUnauthorized?: boolean | undefined;
  /** The name that a client asks for, and that the certificate must be for. By default the host that is dialled. */
  readonly servername?: string | undefined;
  /** A client's own check that the certificate is the host's; gives an error if it is not. */
  readonly checkServerIdentity?: typeof tls.checkServerIdentity | undefined;
  /** Gives a server the context for the name that a client has asked for: `done(null, tls.createSecureContext(…))`. */
  readonly SNICallback?:
    | ((servername: string, done: (error: Error | null, context?: tls.SecureContext) => void) => void)
    | undefined;
  /**
   * Milliseconds that a handshake may take in all; 0 and `Infinity` for any time. Default 10,000; on `dial` with a `timeout` there is only that one
   * by default.
   */
  readonly handshakeTimeout?: number | undefined;
}

/** Milliseconds that a handshake may take in all, unless said otherwise. */
export const HANDSHAKE_TIMEOUT = 10_000;

/** The longest that Node takes; the deadline of a handshake is our own, since Node's is put off by every byte. */
const NEVER = 2_147_483_647;

const MIN_VERSION = 'TLSv1.2';

const contexts = new WeakMap<TlsOptions, tls.SecureContext>();
const servers = new WeakMap<TlsOptions, tls.Server>();

/** What `tls: true` of a client stands for. */
export const DEFAULTS: TlsOptions = {};

/** @throws TypeError for what is no options */
export function checkTls(options: unknown, what: string): asserts options is TlsOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${what} expects an object with options, got ${inWords(options)}`);
  }
  const { handshakeTimeout = 0 } = options as TlsOptions;
  checkDuration(handshakeTimeout, `the handshakeTimeout of ${what}`);
}

/** Milliseconds that a handshake may take; `Infinity` for never, which is also what 0 stands for. */
export function handshakeLimit(options: TlsOptions | undefined, otherwise: number): number {
  const { handshakeTimeout = otherwise } = options ?? {};
  return timeLimit(handshakeTimeout, 'handshakeTimeout');
}

/**
 * The server that does the handshakes for these options; it listens nowhere.
 *
 * @throws TypeError if it would have no certificate to show; what node:tls says of malformed ones
 */
export function serverOf(options: TlsOptions, what: string): tls.Server {
  const made = servers.get(options);
  if (made !== undefined) return made;
  const { key, cert, pfx, SNICallback, handshakeTimeout: _, ...rest } = options;
  if (pfx === undefined && SNICallback === undefined && (key === undefined || cert === undefined)) {
    throw new TypeError(`${what} of a server expects a key and a cert, a pfx or an SNICallback, got none`);
  }
  const server = builtin('node:tls').createServer({
    ...defined({ ...rest, key, cert, pfx, SNICallback }),
    minVersion: options.minVersion ?? MIN_VERSION,
    rejectUnauthorized: options.rejectUnauthorized ?? true,
    handshakeTimeout: NEVER,
  });
  servers.set(options, server);
  return server;
}

/**
 * The options of `tls.connect` for a client of `host`, which is '' where there is none, as on a Unix socket.
 *
 * @throws TypeError if there is nothing to check the certificate against; what node:tls says of malformed ones
 */
export function clientOptions(options: TlsOptions, host: string, what: string): tls.ConnectionOptions {
  const { servername = isIP(host) === 0 ? host : '', checkServerIdentity, ALPNProtocols } = options;
  const rejectUnauthorized = options.rejectUnauthorized ?? true;
  if (typeof servername !== 'string') {
    throw new TypeError(`the servername of ${what} expects a string, got ${inWords(servername)}`);
  }
  if (rejectUnauthorized && servername === '' && host === '' && checkServerIdentity === undefined) {
    throw new TypeError(
      `${what} of a client expects a servername to check the certificate against, got none`,
    );
  }
  let secureContext = contexts.get(options);
  if (secureContext === undefined) {
    secureContext = builtin('node:tls').createSecureContext({
      ...defined(options),
      minVersion: options.minVersion ?? MIN_VERSION,
    });
    contexts.set(options, secureContext);
  }
  // Without a servername Node checks the certificate against `host`, which may be an address.
  return {
    ...defined({ ALPNProtocols, checkServerIdentity }),
    secureContext,
    servername,
    host,
    rejectUnauthorized,
  };
}

/** Without what is undefined: Node tells an option that is missing from one that is undefined. */
function defined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
