// The same by `require`, which gives the function itself, as that of the package does.

const co = require('skein/co');

co(function* () {
  return yield [Promise.resolve(1), (callback) => callback(null, 2)];
}).then((list) => console.log(`${list} of ${typeof co.wrap}`));
