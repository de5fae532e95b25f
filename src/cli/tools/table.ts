// Every `wiredis` tool, one row each. A tool's module is loaded only when it is asked for, so that a broken
// dependency of one leaves the others working.
import type { Tool } from '../tool.ts';

export interface ToolRow {
  readonly name: string;
  /** Half a sentence for the list of tools. */
  readonly summary: string;
  load(): Promise<Tool>;
}

export const tools: readonly ToolRow[] = [
  {
    name: 'lab',
    summary: 'two hosts on this machine, in network namespaces: up, down, exec, status',
    load: async () => (await import('./lab.ts')).lab,
  },
  {
    name: 'bench',
    summary: 'measure redis-server and every transport and engine that works here',
    load: async () => (await import('./bench.ts')).bench,
  },
  {
    name: 'impair',
    summary: 'join two interfaces by a bad network: delay, loss, reordering, a rate',
    load: async () => (await import('./impair.ts')).impair,
  },
  {
    name: 'goodput',
    summary: 'bulk transfers through a bad network, beside the kernel',
    load: async () => (await import('./goodput.ts')).goodput,
  },
  {
    name: 'module',
    summary: 'reload a module of a running server whenever its file changes',
    load: async () => (await import('./module.ts')).module,
  },
  {
    name: 'doctor',
    summary: 'what stands in the way of a server here, and how to mend it',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  {
    name: 'netstat',
    summary: "a running server's connections, listeners, counters and dropped packets",
    load: async () => (await import('./netstat.ts')).netstat,
  },
  {
    name: 'arp',
    summary: "hardware addresses that a running server's stack knows",
    load: async () => (await import('./arp.ts')).arp,
  },
  {
    name: 'route',
    summary: "addresses and routes of a running server's stack",
    load: async () => (await import('./route.ts')).route,
  },
  {
    name: 'top',
    summary: 'a running server at a glance: rates, latency, where its core goes, busiest connections',
    load: async () => (await import('./top.ts')).top,
  },
  {
    name: 'capture',
    summary: "a running server's frames into a pcapng file, or its commands with their latency",
    load: async () => (await import('./capture.ts')).capture,
  },
  {
    name: 'explain',
    summary: 'what a capture file says: connections, losses, who stalled whom',
    load: async () => (await import('./explain.ts')).explain,
  },
  {
    name: 'upgrade',
    summary: 'a new process in place of a running server, with every connection',
    load: async () => (await import('./upgrade.ts')).upgrade,
  },
  {
    name: 'move',
    summary: 'another host in place of a running server, with every connection',
    load: async () => (await import('./move.ts')).move,
  },
  {
    name: 'completion',
    summary: 'words for bash, zsh or fish to complete',
    load: async () => (await import('./completion.ts')).completion,
  },
  {
    name: 'man',
    summary: 'manual page of a tool',
    load: async () => (await import('./man.ts')).man,
  },
];
