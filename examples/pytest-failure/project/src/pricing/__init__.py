"""Prices of a basket."""

from decimal import Decimal

VAT = {"DE": Decimal("0.19"), "FR": Decimal("0.20"), "KR": Decimal("0.10")}
DISCOUNTS = {"WELCOME10": Decimal("0.10"), "VIP": Decimal("0.20")}


def net(prices: list[Decimal]) -> Decimal:
    return sum(prices, Decimal(0))


def discounted(amount: Decimal, code: str | None) -> Decimal:
    if code is None:
        return amount
    return amount - amount * DISCOUNTS[code]


def gross(prices: list[Decimal], country: str, code: str | None = None) -> Decimal:
    taxed = net(prices) * (1 + VAT[country])
    return discounted(net(prices), code) if code else taxed
