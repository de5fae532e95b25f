export { bench } from '../bench/tool.ts';
