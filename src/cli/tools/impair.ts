export { impair } from '../impair/tool.ts';
