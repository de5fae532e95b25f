// `wiredis lab` itself, as a person calls it: both hosts reach each other where they should, settings are as
// documented, and nothing is left afterwards, even of a half-made one.
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Lab, takeDown } from '../../src/cli/lab/lab.ts';
import { must, run } from '../../src/cli/lab/process.ts';
import { cliScript, describeLab, eventually } from './fixture.ts';

const NAME = `wdtest-${process.pid}-cli`;

const wiredis = (...words: string[]) => run([process.execPath, cliScript, ...words]);

describeLab('wiredis lab', () => {
  afterEach(() => takeDown(NAME, () => {}));

  it('up, exec, status, down: two hosts, and nothing left', async () => {
    const up = await wiredis('lab', 'up', '--name', NAME);
    expect(up, up.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(up.stdout).toContain(`netdev.conf for a server here: /run/wiredis-lab/${NAME}/netdev.conf`);
    expect((await wiredis('lab', 'up', '--name', NAME)).stdout).toBe(`lab: lab '${NAME}' is up already\n`);

    const status = await wiredis('lab', 'status', '--name', NAME);
    expect(status.code).toBe(0);
    expect(status.stdout).toContain('10.77.0.2/24');

    const exec = (host: string, script: string) =>
      wiredis('lab', 'exec', '--name', NAME, host, '--', 'sh', '-c', script);
    expect((await exec('client', 'exit 7')).code).toBe(7);
    expect((await exec('client', 'kill -9 $$')).code).toBe(137);
    expect((await exec('client', 'cat')).stdout).toBe('');
    // The kernel owns its own link's address and none of the others.
    expect((await exec('client', 'ping -q -c 1 -W 2 10.77.1.1')).code).toBe(0);
    expect((await exec('client', 'ping -q -c 1 -W 1 10.77.0.1')).code).toBe(1);
    expect((await exec('server', 'ip -o -4 address show')).stdout).not.toMatch(/10\.77\.[02]\./);

    const { direct } = (await Lab.attach(NAME)).plan.links;
    // What the client sends is what a wire would carry; the server's end may be given long segments.
    for (const [host, offload] of [
      ['server', 'on'],
      ['client', 'off'],
    ] as const) {
      const features = (await exec(host, `ethtool -k ${direct.veth}`)).stdout;
      for (const feature of ['tx-checksumming', 'tcp-segmentation-offload']) {
        expect(features).toContain(`${feature}: ${offload}`);
      }
      expect(features).toContain('generic-receive-offload: off');
    }
    expect((await exec('server', `cat /sys/class/net/${direct.veth}/threaded`)).stdout).toBe('1\n');
    const steering = `cat /sys/class/net/${direct.veth}/queues/rx-0/rps_cpus`;
    expect((await exec('server', steering)).stdout).toBe('1\n');
    expect((await exec('server', 'taskset -p $$')).stdout).toMatch(/: 1$/m);

    // Something is still running inside: it goes too.
    const lab = await Lab.attach(NAME);
    const sleeper = lab.start('server', ['sleep', '600'], { stdio: 'ignore' });
    const gone = new Promise((resolve) => sleeper.on('exit', (_code, signal) => resolve(signal)));
    const down = await wiredis('lab', 'down', '--name', NAME);
    expect(down.code).toBe(0);
    expect(await gone).toBe('SIGTERM');
    expect(await must(['ip', 'netns', 'list'])).not.toContain(NAME);
    expect(() => readdirSync(`/run/wiredis-lab/${NAME}`)).toThrow('ENOENT');
    expect((await wiredis('lab', 'down', '--name', NAME)).stdout).toBe('lab: there was none\n');
  });

  it('--hosts: several hosts on one bridge, whose cables can be pulled', async () => {
    const up = await wiredis('lab', 'up', '--name', NAME, '--hosts', '3');
    expect(up, up.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(up.stdout).toContain(`10.77.3.3 for wiredis-server by /run/wiredis-lab/${NAME}/netdev-host3.conf`);
    expect((await wiredis('lab', 'up', '--name', NAME)).stderr).toContain('another kind');
    const ping = async (host: string, address: string): Promise<number> => {
      const words = ['ping', '-q', '-c', '1', '-W', '1', address];
      return (await wiredis('lab', 'exec', '--name', NAME, host, '--', ...words)).code;
    };
    const answers = (host: string, address: string): Promise<number> =>
      eventually(
        () => ping(host, address),
        (code) => code === 0,
        20_000,
      );
    await answers('client', '10.77.3.102');
    await answers('host1', '10.77.3.103');
    expect(await ping('client', '10.77.3.2')).toBe(1);
    expect((await wiredis('lab', 'unplug', '--name', NAME, 'host2')).code).toBe(0);
    expect(await ping('client', '10.77.3.102')).toBe(1);
    expect((await wiredis('lab', 'plug', '--name', NAME, 'host2')).code).toBe(0);
    await answers('client', '10.77.3.102');
    expect((await wiredis('lab', 'unplug', '--name', NAME, 'client')).stderr).toContain('only hosts on a bridge');
    expect((await wiredis('lab', 'exec', '--name', NAME, 'host4', '--', 'true')).stderr).toContain(
      'host1, host2, host3',
    );
    const status = await wiredis('lab', 'status', '--name', NAME);
    expect(status.stdout).toContain('10.77.3.101/24');
    expect((await wiredis('lab', 'down', '--name', NAME)).code).toBe(0);
    expect(await must(['ip', 'netns', 'list'])).not.toContain(NAME);
  });

  it('clears away a half-made lab', async () => {
    await must(['ip', 'netns', 'add', `${NAME}-server`]);
    const status = await wiredis('lab', 'status', '--name', NAME);
    expect(status.code).toBe(1);
    expect(status.stdout).toContain('half-made');
    const up = await wiredis('lab', 'up', '--name', NAME);
    expect(up.code).toBe(0);
    expect(up.stdout).toContain('removed what was left of an earlier lab');
    await must(['ip', 'netns', 'delete', `${NAME}-client`]);
    expect((await wiredis('lab', 'down', '--name', NAME)).code).toBe(0);
    expect(await must(['ip', 'netns', 'list'])).not.toContain(NAME);
  });

  it('says in one line what is missing', async () => {
    const exec = await wiredis('lab', 'exec', '--name', NAME, 'client', '--', 'true');
    expect(exec).toEqual({
      code: 1,
      stdout: '',
      stderr: `wiredis: lab '${NAME}' is not up: 'wiredis lab up --name ${NAME}'\n`,
    });
  });

  it('works without root in a user namespace', async () => {
    // Root can become nobody; the checkout may be closed to nobody, so it runs a copy.
    const copy = mkdtempSync(join(tmpdir(), 'wiredis-nobody-'));
    cpSync(dirname(dirname(cliScript)), join(copy, 'src'), { recursive: true });
    writeFileSync(join(copy, 'package.json'), '{"type":"module"}');
    await must(['chmod', '-R', 'a+rX', copy]);
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'env', '--chdir=/'];
    const words = [...nobody, process.execPath, join(copy, 'src', 'cli', 'wiredis.js'), 'lab'];
    const up = await run([...words, 'up', '--name', NAME]);
    expect(up, up.stderr).toMatchObject({ code: 0 });
    expect(up.stdout).toContain('no root: using a user namespace');
    const ping = await run([...words, 'exec', '--name', NAME, 'client', '--', 'sh', '-c', 'ip -br address; id -u']);
    expect(ping.stdout).toContain('10.77.0.2/24');
    const here = [...words, 'exec', '--name', NAME, 'server', '--', 'sh', '-c', 'pwd; echo "$1"; exit 7', 'sh', 'a  b'];
    const seen = await run(here.map((word) => (word === '--chdir=/' ? `--chdir=${copy}` : word)));
    expect(seen).toMatchObject({ code: 7, stdout: `${copy}\na  b\n` });
    const down = await run([...words, 'down', '--name', NAME]);
    expect(down).toMatchObject({ code: 0 });
    rmSync(copy, { recursive: true });
    expect(readdirSync(tmpdir())).not.toContain('wiredis-lab-65534');
  });
});
