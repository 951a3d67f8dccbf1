// What INFO says, in sections.

import { log } from './append-only.ts';
import { blocked } from './blocking.ts';
import { clients, totals } from './clients.ts';
import { counts, databases } from './keyspace.ts';
import { rewrite } from './rewrite.ts';
import { settings } from './settings.ts';

const started = Date.now();

type Section = () => Record<string, string | number>;

const sections: Readonly<Record<string, Section>> = {
  server: () => ({
    redis_version: '7.0.15',
    redis_mode: 'standalone',
    server_name: 'skein-kv',
    node_version: process.versions.node,
    process_id: process.pid,
    tcp_port: settings.port,
    uptime_in_seconds: Math.floor((Date.now() - started) / 1000),
  }),
  clients: () => ({ connected_clients: clients.size, blocked_clients: blocked.count }),
  memory: () => {
    const { rss, heapUsed } = process.memoryUsage();
    return { used_memory: heapUsed, used_memory_rss: rss, maxmemory: 0 };
  },
  persistence: () => ({
    loading: 0,
    aof_enabled: log.isOn ? 1 : 0,
    aof_rewrite_in_progress: rewrite.isRunning ? 1 : 0,
    aof_rewrites: rewrite.count,
    aof_last_bgrewrite_status: rewrite.hasFailed ? 'err' : 'ok',
    aof_current_size: log.size,
    aof_base_size: rewrite.baseSize,
  }),
  stats: () => ({
    total_connections_received: totals.connections,
    total_commands_processed: totals.commands,
    expired_keys: counts.expired,
  }),
  replication: () => ({ role: 'master', connected_slaves: 0 }),
  keyspace: () =>
    Object.fromEntries(
      databases
        .filter(({ size }) => size > 0)
        .map(({ index, size, expiringSize }) => [
          `db${index}`,
          `keys=${size},expires=${expiringSize},avg_ttl=0`,
        ]),
    ),
};

export function information(wanted: readonly string[]): string {
  const names = wanted.map((name) => name.toLowerCase());
  const isAsked = (name: string): boolean =>
    names.length === 0 || names.some((one) => ['all', 'default', 'everything', name].includes(one));
  return Object.entries(sections)
    .filter(([name]) => isAsked(name))
    .map(([name, section]) => {
      const lines = Object.entries(section()).map(([key, value]) => `${key}:${value}\r\n`);
      return `# ${name[0]!.toUpperCase()}${name.slice(1)}\r\n${lines.join('')}`;
    })
    .join('\r\n');
}
