import { inspect } from 'node:util';
import t from 'tap';
import { Address } from '../../../lib/index.ts';

t.test('every notation of an address is understood', async (t) => {
  const cases: [Parameters<typeof Address.parse>[0], string][] = [
    [9981, '127.0.0.1:9981'],
    [0, '127.0.0.1:0'],
    ['localhost:80', 'localhost:80'],
    ['0.0.0.0:65535', '0.0.0.0:65535'],
    ['[::1]:9981', '[::1]:9981'],
    ['unix:/run/echo.sock', 'unix:/run/echo.sock'],
    [{ port: 80 }, '127.0.0.1:80'],
    [{ host: '::', port: 80 }, '[::]:80'],
    [{ host: '[::1]', port: 80 }, '[::1]:80'],
    [{ host: '[fe80::1%eth0]', port: 80 }, '[fe80::1%eth0]:80'],
    ['[fe80::1%eth0]:80', '[fe80::1%eth0]:80'],
    ['[::ffff:1.2.3.4]:80', '[::ffff:1.2.3.4]:80'],
    ['*:80', '*:80'],
    [{ host: '*', port: 80 }, '*:80'],
    [{ ...Address.parse('a:1') }, 'a:1'],
    [{ ...Address.parse('unix:/a') }, 'unix:/a'],
    [{ path: '/run/echo.sock' }, 'unix:/run/echo.sock'],
    [Address.parse('a:1'), 'a:1'],
  ];
  for (const [address, text] of cases) {
    t.equal(String(Address.parse(address)), text);
    t.equal(String(Address.parse(text)), text, 'what is printed can be read');
  }
});

t.test('an address prints as it is written', async (t) => {
  const address = Address.parse('[::1]:80');
  t.equal(JSON.stringify({ address }), '{"address":"[::1]:80"}');
  t.equal(inspect(address), '[::1]:80');
  t.equal(String(Address.parse({ path: '/a' })), 'unix:/a');
});

t.test('a malformed address is a TypeError that says what was expected and what came', async (t) => {
  const malformed: unknown[] = [
    ...[
      'host:',
      ':80',
      'host',
      '',
      '9981',
      '::1:80',
      'a b:80',
      'host:port',
      'host:-1',
      'unix:',
      '[::1]',
      'h:1:2',
      '*',
      '**:80',
      '*.example:80',
      '[*]:80',
      '[]:80',
      '[localhost]:80',
      '[127.0.0.1]:80',
      '[[::1]]:80',
      '[::1%]:80',
      '[::1]\n:80',
      'a\0b:80',
    ],
    ...[70_000, -1, 1.5, NaN, null, undefined, true, {}, [], Symbol('x'), () => {}],
    ...[
      { host: '', port: 1 },
      { host: 1, port: 1 },
      { host: null, port: 1 },
      ...['[]', '[::1', '::1]', '[::1]:80', '[localhost]', 'a:80', ' a', 'a\0b'].map((host) => ({
        host,
        port: 1,
      })),
      { host: '', port: 0, path: '' },
      { port: '80' },
      { path: '' },
      { path: 5 },
      { path: 'a\0b' },
    ],
  ];
  for (const address of malformed) {
    t.throws(() => Address.parse(address as number), { name: 'TypeError', message: /^expected .*, got / });
  }
  t.throws(() => Address.parse(70_000), { message: 'expected a port from 0 to 65535, got 70000' });
  t.throws(() => Address.parse('host:'), { message: /'host:port'.*got "host:"/ });
});
