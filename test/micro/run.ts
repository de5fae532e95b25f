// `npm run bench:micro [NAME...]`: the pieces one after the other, as a table.
import { measure } from './measure.ts';
import { PIECES } from './pieces.ts';

const wanted = process.argv.slice(2);
for (const make of PIECES) {
  const piece = make();
  if (wanted.length > 0 && !wanted.includes(piece.name)) continue;
  const { name, ns, turns, heapBytes } = measure(piece);
  const numbers = `${ns.toFixed(1).padStart(8)} ns ${turns.toFixed(1).padStart(8)} turns ${heapBytes.toFixed(2).padStart(6)} heap bytes`;
  console.log(`${name.padEnd(12)} ${numbers}   ${piece.operation}`);
}
