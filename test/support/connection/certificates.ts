// Certificates for the tests of TLS, made by the openssl command when they are asked for, in a folder that goes
// with the process.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why there are none: to be given to `t.test` as `skip`; false if there are. */
export const noOpenssl: string | false =
  spawnSync('openssl', ['version']).status === 0 ? false : 'there is no openssl command';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
  readonly keyFile: string;
  readonly certFile: string;
}

/** The names and addresses of this machine. */
const LOCAL = 'DNS:localhost,IP:127.0.0.1,IP:::1';

let folder = '';

function path(name: string): string {
  if (folder === '') {
    folder = mkdtempSync(join(tmpdir(), 'skein-certificates-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  }
  return join(folder, name);
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

const made = new Map<string, Certificate>();

/** An authority, with a certificate signed by itself. */
export function authority(name = 'authority'): Certificate {
  const known = made.get(name);
  if (known !== undefined) return known;
  const [keyFile, certFile] = [path(`${name}.key`), path(`${name}.pem`)];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...curve,
    '-keyout',
    keyFile,
    '-out',
    certFile,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  );
  return note(name, keyFile, certFile);
}

/** A certificate that the authority has signed. */
export function certificate(
  name = 'localhost',
  { names = LOCAL, days = 1, by = authority() }: { names?: string; days?: number; by?: Certificate } = {},
): Certificate {
  const id = `${name}-${names}-${days}-${by.certFile}`;
  const known = made.get(id);
  if (known !== undefined) return known;
  const base = `leaf-${made.size}`;
  const [keyFile, certFile, request] = [path(`${base}.key`), path(`${base}.pem`), path(`${base}.csr`)];
  const extensions = path(`${base}.ext`);
  writeFileSync(extensions, `subjectAltName=${names}\n`);
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-new', ...curve, '-keyout', keyFile, '-out', request, '-subj', `/CN=${name}`);
  const signer = ['-CA', by.certFile, '-CAkey', by.keyFile, '-CAcreateserial'];
  const validity = ['-days', String(days), '-extfile', extensions];
  openssl('x509', '-req', '-in', request, ...signer, ...validity, '-out', certFile);
  return note(id, keyFile, certFile);
}

function note(id: string, keyFile: string, certFile: string): Certificate {
  const key = readFileSync(keyFile, 'latin1');
  const cert = readFileSync(certFile, 'latin1');
  const entry = { key, cert, keyFile, certFile };
  made.set(id, entry);
  return entry;
}
