import { add, type Money } from "./money.js";

export interface Item {
  readonly title: string;
  readonly price: Money;
  readonly quantity: number;
}

export function total(items: readonly Item[]): Money {
  let sum: Money = { amount: 0n, currency: "EUR" };
  for (const item of items) {
    sum = add(sum, { amount: item.price.amount * item.quantity, currency: item.price.currency });
  }
  return sum;
}

export function cheapest(items: readonly Item[]): Item {
  return items.find((item) => items.every((other) => other.price.amount >= item.price.amount));
}
