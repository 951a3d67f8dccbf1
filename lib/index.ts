/**
 * Sockets, and everything of 'skein/scheduler'.
 *
 * @module skein
 */

export * from '../scheduler/index.ts';
export { Acceptor, type ListenOptions } from './listen/acceptor.ts';
export { Address, type AddressLike } from './common/address.ts';
export { bindUdp, type UdpOptions } from './udp/bind.ts';
export { Connection } from './connection/connection.ts';
export { Connector, dial, type DialOptions, type OnResult } from './dial/connector.ts';
export { UdpSocket } from './udp/socket.ts';
export type { Datagram } from './udp/socket.ts';
export { LimitError, ProtocolError, UnexpectedEofError } from './common/errors.ts';
export { drained } from './streams/drained.ts';
export { fromDuplex } from './streams/from-duplex.ts';
export { EventLoop } from './event-loop.ts';
export {
  delimited,
  type FrameFormat,
  lengthPrefixed,
  type LengthPrefixedOptions,
} from './connection/codec.ts';
export type { FrameOptions } from './connection/framing.ts';
export { type BodyOptions, readBody } from './http/body.ts';
export { type HttpHandler, type HttpOptions, serveHttp, type UpgradeHandler } from './http/serve-http.ts';
export { listen } from './listen/acceptor.ts';
export { copyBoth, pipe } from './connection/pipe.ts';
export { reactorName } from './common/current-reactor.ts';
export type { OnData } from './connection/input.ts';
export { serve, type ServeOptions, type Where } from './serve/serve.ts';
export type { Handler } from './serve/server.ts';
export type { StartTlsOptions } from './connection/start-tls.ts';
export { TlsInfo } from './tls/info.ts';
export type { TlsOptions } from './tls/options.ts';
