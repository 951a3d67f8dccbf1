/**
 * Sockets, and everything of 'skein/scheduler'.
 *
 * @module skein
 */

export * from '../scheduler/index.ts';
export { Acceptor, type ListenOptions } from './acceptor.ts';
export { Address, type AddressLike } from './address.ts';
export { bindUdp, type UdpOptions } from './bind-udp.ts';
export { Connection } from './connection.ts';
export { Connector, dial, type DialOptions, type OnResult } from './connector.ts';
export { UdpSocket } from './datagram.ts';
export type { Datagram } from './datagram-queue.ts';
export { LimitError, ProtocolError, UnexpectedEofError } from './errors.ts';
export { drained } from './drained.ts';
export { fromDuplex } from './duplex.ts';
export { EventLoop } from './event.ts';
export { delimited, type FrameFormat, lengthPrefixed, type LengthPrefixedOptions } from './frames.ts';
export type { FrameOptions } from './framing.ts';
export { type BodyOptions, readBody } from './http-body.ts';
export { type HttpHandler, type HttpOptions, serveHttp, type UpgradeHandler } from './http.ts';
export { listen } from './listen.ts';
export { copyBoth, pipe } from './pipe.ts';
export { reactorName } from './the-reactor.ts';
export type { OnData } from './read.ts';
export { serve, type ServeOptions, type Where } from './serve.ts';
export type { Handler } from './server.ts';
export type { StartTlsOptions } from './start-tls.ts';
export { TlsInfo } from './tls-info.ts';
export type { TlsOptions } from './tls-options.ts';
