// Checks of types that the compiler makes.

/** True only if the two types are the same, `any` not being the same as another. */
type Same<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;

/** Checks the type of a value, and hands it on. */
export function typed<Expected>() {
  return <Actual>(value: Actual, _isSame: Same<Actual, Expected>): Actual => value;
}
