// What the operating system knows of this process, for INFO: memory, processor time, names.
import { release, type as systemName, totalmem } from 'node:os';

export interface ProcessMemory {
  /** Bytes. */
  readonly resident: number;
  readonly heapUsed: number;
  readonly heapTotal: number;
  /** Of the machine. */
  readonly total: number;
}

export const operatingSystem = `${systemName()} ${release()} ${process.arch === 'x64' ? 'x86_64' : process.arch}`;

export function processMemory(): ProcessMemory {
  const { heapTotal, heapUsed, rss } = process.memoryUsage();
  return { heapTotal, heapUsed, resident: rss, total: totalmem() };
}

/** Processor time since start, microseconds. */
export function processorTime(): { readonly system: number; readonly user: number } {
  return process.cpuUsage();
}
