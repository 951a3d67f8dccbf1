// Whose word about the addresses of clients is taken: whoever may send a PROXY header can claim to be anybody.

import { BlockList, isIP } from 'node:net';
import { inWords } from '../scheduler/errors.ts';
import type { Endpoint } from './reactor/contract.ts';

/** Proxies on this machine: loopback, as RFC 1122 (section 3.2.1.3) and RFC 4291 (section 2.5.3) have it. */
const LOOPBACK = ['127.0.0.0/8', '::1'];

/**
 * The test of a peer for the `proxyProtocol` of `listen`; undefined if no proxy is expected. Who comes by a Unix socket was
 * let in by the rights of its file, and passes.
 *
 * @throws TypeError if it is neither true or false nor a list of addresses and subnets
 */
export function proxySources(
  option: boolean | readonly string[] = false,
): ((peer: Endpoint) => boolean) | undefined {
  if (option === false) return undefined;
  const sources = option === true ? LOOPBACK : option;
  if (!Array.isArray(sources)) throw malformed(option);
  const trusted = new BlockList();
  for (const source of sources as unknown[]) add(trusted, source);
  return ({ host }) => {
    if (host === '') return true;
    // A link-local address is as trusted on one interface as on another: lists know no zones.
    return trusted.check(host.split('%', 1)[0]!, isIP(host) === 6 ? 'ipv6' : 'ipv4');
  };
}

function add(trusted: BlockList, source: unknown): void {
  if (typeof source !== 'string') throw malformed(source);
  const [address, bits, ...more] = source.split('/');
  const version = isIP(address!);
  const longest = version === 6 ? 128 : 32;
  const isSubnet = bits !== undefined;
  if (version === 0 || address!.includes('%') || more.length > 0) throw malformed(source);
  if (isSubnet && !(/^\d{1,3}$/.test(bits) && Number(bits) <= longest)) throw malformed(source);
  trusted.addSubnet(address!, isSubnet ? Number(bits) : longest, version === 6 ? 'ipv6' : 'ipv4');
}

function malformed(what: unknown): TypeError {
  const expected = "true, false or a list of IP addresses and subnets ('10.0.0.0/8')";
  return new TypeError(`proxyProtocol should be ${expected}, got ${inWords(what)}`);
}
