import { afterEach, describe, expect, it, vi } from 'vitest';
import { packageVersion } from '../package-version.ts';
import { tools } from './tools/table.ts';
import { main } from './wiredis.ts';

async function call(...args: string[]) {
  let stdout = '';
  let stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text;
    return true;
  });
  const code = await main(args);
  return { code, stdout, stderr };
}

afterEach(() => vi.restoreAllMocks());

describe('wiredis', () => {
  it('lists every tool', async () => {
    const { code, stdout } = await call('--help');
    expect(code).toBe(0);
    for (const tool of tools) expect(stdout).toContain(`  ${tool.name}`);
  });

  it.each(['--version', '-v'])('says which one it is: %s', async (word) => {
    const { code, stdout } = await call(word);
    expect([code, stdout]).toEqual([0, `wiredis ${packageVersion()}\n`]);
  });

  it('fails without a tool, and still says what there is', async () => {
    const { code, stdout, stderr } = await call();
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('Usage: wiredis TOOL');
  });

  it.each(tools.map((tool) => tool.name))('explains %s in both ways', async (name) => {
    const one = await call(name, '--help');
    const other = await call('help', name);
    expect(one).toEqual(other);
    expect(one.code).toBe(0);
    expect(one.stdout).toMatch(new RegExp(`^Usage: wiredis ${name} `));
  });

  it('proposes the nearest tool', async () => {
    expect(await call('bnech')).toEqual({
      code: 2,
      stdout: '',
      stderr: "wiredis: unknown tool 'bnech'; did you mean 'bench'?\n",
    });
  });

  it.each([
    [['lab'], 'wiredis: lab wants one of: up, down, exec, status, unplug, plug\n'],
    [['lab', 'dwon'], "wiredis: unknown action 'dwon' of lab; did you mean 'down'?\n"],
    [['lab', 'exec', 'elsewhere', '--', 'true'], "wiredis: lab exec wants 'server', 'client' or 'hostN' first\n"],
    [['lab', 'exec', 'client'], 'wiredis: lab exec wants a command: wiredis lab exec client -- COMMAND\n'],
    [['lab', 'up', '--name', 'a/b'], "wiredis: --name wants letters, digits and '-', at most 64, not 'a/b'\n"],
    [['bench', '--rounds', '0'], "wiredis: --rounds wants a whole number of at least 1, not '0'\n"],
    [['bench', '--tests', 'get,sett'], "wiredis: unknown test 'sett'; did you mean 'set'?\n"],
    [['module', 'watch', 'package.json', '--port', '99999'], "wiredis: --port wants at most 65535, not '99999'\n"],
    [['doctor', '--port', '65536'], "wiredis: --port wants at most 65535, not '65536'\n"],
    [['impair', 'lo', 'lo'], 'wiredis: impair wants two interfaces, not the same one twice\n'],
    [['bench', '--paths', 'redsi'], "wiredis: unknown path 'redsi'; did you mean 'redis'?\n"],
  ])('refuses %j', async (args, complaint) => {
    const { code, stderr } = await call(...args);
    expect([code, stderr]).toEqual([2, complaint]);
  });
});
