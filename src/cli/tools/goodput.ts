export { goodput } from '../goodput/tool.ts';
