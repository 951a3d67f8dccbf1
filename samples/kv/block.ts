// So many elements of a list in one text, with the place where each ends in another: two small objects for the garbage
// collector in the place of a hundred. Elements that are long stay as they are.

/** Elements of a block. */
export const BLOCK = 128;
/** Characters from which on packing saves little. */
const MUCH = 8_192;

/** `ends` has a character for each element: the index in `text` behind it. */
interface Packed {
  readonly text: string;
  readonly ends: string;
}

export type Block = Packed | readonly string[];

export function pack(elements: readonly string[]): Block {
  const ends: number[] = [];
  let size = 0;
  for (const element of elements) ends.push((size += element.length));
  return size > MUCH ? elements : { text: elements.join(''), ends: String.fromCharCode(...ends) };
}

export function elementOf(block: Block, index: number): string {
  if (!isPacked(block)) return block[index]!;
  const { text, ends } = block;
  return text.slice(index === 0 ? 0 : ends.charCodeAt(index - 1), ends.charCodeAt(index));
}

/** All of them, in an array that is the caller's own. */
export function elementsOf(block: Block): string[] {
  return Array.from({ length: BLOCK }, (_, index) => elementOf(block, index));
}

function isPacked(block: Block): block is Packed {
  return 'ends' in block;
}
