// A stream as a plain buffer, and what each way of reading gives of it: what connections are compared with.

export type Step =
  | { readonly kind: 'line'; readonly limit: number }
  | { readonly kind: 'until'; readonly delimiter: string; readonly limit: number }
  | { readonly kind: 'exactly' | 'peek' | 'into' | 'unread'; readonly size: number }
  | { readonly kind: 'prefixed' | 'delimited' | 'read' };

/** What a step gives: bytes, null at the end, or the code of an error; and how many bytes it takes. */
export interface Outcome {
  readonly result: Buffer | string | null;
  readonly taken: number;
}

export const PREFIXED_LIMIT = 120;
export const DELIMITED_LIMIT = 40;

const ERROR_AT_END: Outcome = { result: 'ERR_UNEXPECTED_EOF', taken: 0 };
const TOO_LONG: Outcome = { result: 'ERR_LIMIT', taken: 0 };
const END: Outcome = { result: null, taken: 0 };

/** What a step gives when `rest` is all that is still to come. How many bytes `read` and `into` give is free. */
export function predict(step: Step, rest: Buffer): Outcome {
  switch (step.kind) {
    case 'line': {
      const { result, taken } = upTo('\n', step.limit + 1, rest);
      if (!Buffer.isBuffer(result)) return { result, taken };
      const line = result.at(-1) === 0x0d ? result.subarray(0, -1) : result;
      return line.byteLength > step.limit ? TOO_LONG : { result: line, taken };
    }
    case 'until': {
      const { result, taken } = upTo(step.delimiter, step.limit, rest);
      return { result: Buffer.isBuffer(result) ? rest.subarray(0, taken) : result, taken };
    }
    case 'delimited':
      return upTo('€', DELIMITED_LIMIT, rest);
    case 'exactly':
      if (rest.byteLength < step.size) return ERROR_AT_END;
      return { result: rest.subarray(0, step.size), taken: step.size };
    case 'peek':
      return { result: rest.subarray(0, step.size), taken: 0 };
    case 'prefixed': {
      if (rest.byteLength === 0) return END;
      const size = rest[0]!;
      if (size > PREFIXED_LIMIT) return TOO_LONG;
      if (rest.byteLength <= size) return ERROR_AT_END;
      return { result: rest.subarray(1, size + 1), taken: size + 1 };
    }
    default:
      return rest.byteLength === 0 ? END : { result: rest, taken: rest.byteLength };
  }
}

function upTo(delimiter: string, limit: number, rest: Buffer): Outcome {
  const size = Buffer.byteLength(delimiter);
  const index = rest.indexOf(delimiter);
  if (index > limit || (index < 0 && rest.byteLength - size + 1 > limit)) return TOO_LONG;
  if (index >= 0) return { result: rest.subarray(0, index), taken: index + size };
  return rest.byteLength === 0 ? END : ERROR_AT_END;
}
