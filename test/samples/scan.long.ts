import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { until } from '../support/connection/peers.ts';
import { runProgram } from '../support/programs/program.ts';
import { runTool, without } from '../support/programs/samples.ts';

const scan = join(dirname(fileURLToPath(import.meta.url)), '../../samples/scan.ts');

t.test('scan.ts tells of ten thousand dials how each has ended', { timeout: 120_000 }, async (t) => {
  // A busy machine may need more than a second to greet.
  const program = runProgram([scan], { LIMIT: '250', DEADLINE: '3000' });
  t.teardown(() => void program.child.kill('SIGKILL'));
  t.equal(await program.exited, 0, program.output());
  const [listening, summary, ...others] = program.lines();
  t.match(listening, /^greeting listening on 127\.0\.0\.1:\d+, silence on 127\.0\.0\.1:\d+$/);
  t.match(summary, /^10000 dials: 7000 answered, 2000 refused, 1000 timed out, 0 failed; \d+\.\d s$/);
  t.same(others, [], 'no bar without a terminal');
});

t.test('scan.ts ends at once on a signal, and says how far it came', { timeout: 60_000 }, async (t) => {
  const program = runProgram([scan], { DEADLINE: '600000' });
  t.teardown(() => void program.child.kill('SIGKILL'));
  await until(() => program.output().includes('listening'), 'it to listen', 30_000);
  t.equal(await program.end('SIGTERM'), 0, program.output());
  t.match(program.lines().at(-1), /^interrupted: \d+ dials: .*, 0 timed out, 0 failed;/);
});

t.test('scan.ts shows a bar on a terminal', { skip: without('script'), timeout: 60_000 }, async (t) => {
  // As in runProgram; to say it in the environment does not help, the test runner sets it again.
  const command = `unset NODE_OPTIONS; "${process.execPath}" --import tsx --conditions=skein-source "${scan}"`;
  const env = { DIALS: '100', DEADLINE: '1500', NODE_ENV: 'production' };
  const { stdout } = await runTool('script', ['-qec', command, '/dev/null'], env);
  t.match(String(stdout), /={40} 100\/100/);
  t.match(String(stdout), /100 dials: 70 answered, 20 refused, 10 timed out, 0 failed/);
});
