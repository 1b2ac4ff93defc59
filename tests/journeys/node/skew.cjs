// A machine whose clock is wrong by SKEW_SECONDS: loaded before the SDK, which is left as it is.
"use strict";

const skew = Number(process.env.SKEW_SECONDS || 0) * 1000;
const Real = Date;

globalThis.Date = class extends Real {
  constructor(...given) {
    if (given.length === 0) super(Real.now() + skew);
    else super(...given);
  }

  static now() {
    return Real.now() + skew;
  }
};
