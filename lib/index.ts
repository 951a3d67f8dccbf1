// 'skein': sockets, and everything of 'skein/scheduler'.

export * from '../scheduler/index.ts';
export { Acceptor, type ListenOptions } from './acceptor.ts';
export { Address, type AddressLike } from './address.ts';
export { Connection } from './connection.ts';
export { Connector, dial, type DialOptions } from './connector.ts';
export { ProtocolError } from './errors.ts';
export { EventLoop } from './event.ts';
export { listen } from './listen.ts';
export { reactorName } from './the-reactor.ts';
export { serve, type ServeOptions } from './serve.ts';
