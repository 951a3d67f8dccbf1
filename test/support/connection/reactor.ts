// The reactor of this thread, for tests that look at it: made at once, whoever else needs it later.

import { sharedReactor } from '../../../lib/common/current-reactor.ts';

export const reactor = sharedReactor();
