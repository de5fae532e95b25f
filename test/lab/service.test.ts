// A server as a service: the unit that install-service.sh writes, privileges that are gone once the interface is open, and
// what systemd is told.
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram } from '../../src/cli/lab/process.ts';
import { describeLab, eventually, LabServer, OVER, openLab, root, serverScript } from './fixture.ts';

const script = join(root, 'scripts', 'install-service.sh');
const engines = OVER.filter((over) => over !== 'redis' && over !== 'kernel');

describeLab('user-after-open', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await openLab();
  });

  afterAll(() => lab?.down());

  it.each(engines)('%s goes on without any privilege', async (over) => {
    const uid = execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }).trim();
    const directory = mkdtempSync(join(tmpdir(), 'wiredis-nobody-'));
    chownSync(directory, Number(uid), Number(uid));
    const words = ['--user-after-open', 'nobody', '--appendonly', 'yes'];
    const server = await LabServer.start(lab, { over, directory, arguments: words });
    const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
    const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
    expect(field('Uid').split(/\s+/)).toEqual([uid, uid, uid, uid]);
    for (const set of ['CapEff', 'CapPrm', 'CapInh', 'CapAmb']) expect(field(set), set).toMatch(/^0+$/);
    expect(field('NoNewPrivs')).toBe('1');
    expect((await server.cli(['SET', 'key', 'x'.repeat(100_000)])).stdout.trim()).toBe('OK');
    expect((await server.cli(['STRLEN', 'key'])).stdout.trim()).toBe('100000');
    expect(server.output).toContain('going on as user nobody');
    // Files of the dataset are its own.
    expect(statSync(join(directory, 'appendonlydir')).uid).toBe(Number(uid));
    expect(await server.stop()).toBe(0);
    rmSync(directory, { recursive: true });
  });

  it('refuses a user that is not there, before anything is opened', async () => {
    const words = ['--transport', 'kernel', '--port', '0', '--user-after-open', 'no-such-user'];
    const child = await lab.run('server', [process.execPath, serverScript, ...words]);
    expect(child.code).toBe(1);
    expect(child.stderr).toContain("there is no user 'no-such-user'");
  });
});

describeLab('supervised systemd', () => {
  it.skipIf(!hasProgram('python3'))('tells that it is ready, reloads at SIGHUP, and tells that it stops', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wiredis-notify-'));
    const socket = join(folder, 'notify');
    const listener = spawn('python3', [
      '-uc',
      'import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind(sys.argv[1])\nwhile True: print(s.recv(4096).decode(),flush=True)',
      socket,
    ]);
    let told = '';
    listener.stdout.on('data', (data) => (told += data));
    await eventually(async () => existsSync(socket), Boolean, 10_000);
    const conf = join(folder, 'redis.conf');
    writeFileSync(conf, 'port 0\nmaxclients 100\n');
    const words = [
      serverScript,
      conf,
      '--transport',
      'kernel',
      '--supervised',
      'systemd',
      '--save',
      '',
      '--dir',
      folder,
    ];
    const server = spawn(process.execPath, words, {
      env: { ...process.env, NOTIFY_SOCKET: socket, RUNTIME_DIRECTORY: folder },
    });
    let log = '';
    server.stdout.on('data', (data) => (log += data));
    try {
      await eventually(
        async () => told,
        (text) => text.includes('READY=1'),
        20_000,
      );
      // Where the tools of root find a service of another user.
      expect(statSync(join(folder, `${server.pid}.sock`)).mode & 0o777).toBe(0o600);
      writeFileSync(conf, 'port 0\nmaxclients 50\n');
      server.kill('SIGHUP');
      await eventually(
        async () => log,
        (text) => text.includes('Reload: changed maxclients'),
        10_000,
      );
      server.kill('SIGTERM');
      await eventually(
        async () => told,
        (text) => text.includes('STOPPING=1'),
        10_000,
      );
    } finally {
      server.kill('SIGKILL');
      listener.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('install-service.sh', () => {
  const dry = (...words: string[]): string => execFileSync(script, [...words, '--dry-run'], { encoding: 'utf8' });

  it.skipIf(!existsSync(serverScript))('shows a unit with four capabilities and no others, and changes nothing', () => {
    const said = dry('--interface', 'eth7', '--address', '192.0.2.5/24', '--gateway', '192.0.2.1');
    const sets = [...said.matchAll(/(Ambient|Bounding\w*)[A-Za-z]*=(.*)/g)].map(([, , names]) => names);
    expect(sets).toHaveLength(2);
    for (const names of sets) expect(names).toBe('CAP_NET_RAW CAP_NET_ADMIN CAP_BPF CAP_IPC_LOCK');
    expect(said).toContain('User=wiredis');
    expect(said).toContain('interface = eth7');
    expect(said).toContain('address = 192.0.2.5/24');
    expect(said).toContain('gateway = 192.0.2.1');
    expect(existsSync('/etc/systemd/system/wiredis.service')).toBe(false);
  });

  it.skipIf(!hasProgram('systemd-analyze') || !existsSync(serverScript))(
    'writes a unit that systemd understands',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'wiredis-unit-'));
      const unit = dry()
        .split(/^\+ write \/etc\/systemd.*\n/m)[1]
        .split(/^\+/m)[0]
        .replace(/^ {4}/gm, '');
      // The user is made by the script; here it is not there.
      writeFileSync(join(folder, 'wiredis.service'), unit.replaceAll('=wiredis\n', '=nobody\n'));
      try {
        execFileSync('systemd-analyze', ['verify', '--man=no', join(folder, 'wiredis.service')], { stdio: 'pipe' });
      } catch (error) {
        const said = String((error as { stderr: Buffer }).stderr);
        // Other units of this machine are not ours to judge.
        expect(said.split('\n').filter((line) => line.includes('wiredis.service'))).toEqual([]);
      }
      rmSync(folder, { recursive: true });
    },
  );

  it.skipIf(!existsSync('/etc/redis/redis.conf') || !existsSync(serverScript))(
    "takes Debian's redis.conf as its owner",
    () => {
      const said = dry('--conf', '/etc/redis/redis.conf', '--interface', 'eth7', '--address', '192.0.2.5/24');
      expect(said).toContain('User=redis\nGroup=redis\n'.replaceAll('\n', '\n    ').trimEnd());
      expect(said).toMatch(/ExecStart=.*wiredis-server\.js \/etc\/redis\/redis\.conf .*--user-after-open redis/);
      expect(said).not.toContain('useradd');
      expect(() => execFileSync(script, ['--conf', '/no/such.conf', '--dry-run'], { stdio: 'pipe' })).toThrow(
        'there is no /no/such.conf',
      );
    },
  );

  it.skipIf(process.getuid?.() !== 0 || !hasProgram('unshare') || !existsSync(serverScript))(
    'installs, keeps what was changed, and uninstalls without a trace',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'wiredis-install-'));
      mkdirSync(join(folder, 'bin'));
      // Who calls systemd is written down; the rest is real, on an /etc and a /run of its own.
      writeFileSync(join(folder, 'bin', 'systemctl'), `#!/bin/sh\necho "$*" >>${folder}/systemctl\n`, { mode: 0o755 });
      const steps = `set -eu
cp -a /etc ${folder}/etc && mount --bind ${folder}/etc /etc
mount -t tmpfs none /run && mkdir -p /run/systemd/system
PATH=${folder}/bin:$PATH
state() { (cd /etc && find . ! -name '*-' ! -name .pwd.lock | sort; cat passwd group); }
state >${folder}/before
${script} --interface eth7 --address 192.0.2.5/24
id -un wiredis
stat -c '%U %G %a' /etc/wiredis/netdev.conf /etc/wiredis/redis.conf /etc/systemd/system/wiredis.service
echo 'mtu = 1400' >>/etc/wiredis/netdev.conf
${script}
tail -n 1 /etc/wiredis/netdev.conf
${script} uninstall
ls /etc/systemd/system/wiredis.service 2>/dev/null || echo 'no unit'
tail -n 1 /etc/wiredis/netdev.conf
${script} uninstall --purge
state | diff ${folder}/before -
`;
      try {
        const words = ['--mount', '--propagation', 'private', 'sh', '-c', steps];
        const said = execFileSync('unshare', words, { encoding: 'utf8' });
        expect(said.split('\n').filter((line) => line !== '' && !line.startsWith('install-service:'))).toEqual([
          'wiredis',
          'root root 644',
          'root wiredis 640',
          'root root 644',
          'mtu = 1400',
          'no unit',
          'mtu = 1400',
        ]);
        expect(said).toContain('/etc/wiredis/netdev.conf is kept');
        expect(readFileSync(join(folder, 'systemctl'), 'utf8').trim().split('\n')).toEqual([
          'daemon-reload',
          'daemon-reload',
          'disable --now wiredis',
          'daemon-reload',
          'disable --now wiredis',
          'daemon-reload',
        ]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

  it('says what comes next', () => {
    expect(dry()).toMatch(/set both in .*netdev\.conf\n.*wiredis doctor --netdev .*systemctl enable --now wiredis/);
  });

  it('names what uninstall undoes', () => {
    const said = dry('uninstall', '--purge');
    expect(said).toContain('systemctl disable --now wiredis');
    expect(said).toContain('rm -f /etc/systemd/system/wiredis.service');
  });

  it('refuses options that it does not know', () => {
    expect(() => execFileSync(script, ['--what'], { stdio: 'pipe' })).toThrow("unknown option '--what'");
  });
});
