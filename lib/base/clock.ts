/** Time comes in through this port only, so that a test can hold it. */
export interface Clock {
  /** Milliseconds, never going back, from an arbitrary origin. */
  now(): number;
  /** Milliseconds since 1970, as the wall says. */
  wall(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
};
