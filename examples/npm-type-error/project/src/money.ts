export interface Money {
  readonly amount: bigint;
  readonly currency: "EUR" | "USD" | "KRW";
}

export function add(left: Money, right: Money): Money {
  if (left.currency !== right.currency) throw new RangeError(`cannot add ${right.currency} to ${left.currency}`);
  return { amount: left.amount + right.amount, currency: left.currency };
}
