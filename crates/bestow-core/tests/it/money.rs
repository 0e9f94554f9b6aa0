use bestow_core::money::MoneyFault;
use bestow_core::{Currency, Minor, Money};
use proptest::prelude::*;

fn money(amount: i64, currency: &str) -> Money {
    Money {
        amount: Minor(amount),
        currency: Currency::parse(currency).expect(currency),
    }
}

#[test]
fn currencies_are_three_letters() {
    assert_eq!(Currency::parse("eur").expect("a currency").as_str(), "EUR");
    assert_eq!(Currency::parse(" USD "), Currency::parse("usd"));
    for bad in ["", "EU", "EURO", "E1R", "€", "ÄB", "E R"] {
        assert_eq!(
            Currency::parse(bad),
            Err(MoneyFault::BadCurrency),
            "{bad:?}"
        );
    }
}

#[test]
fn amounts_never_wrap_round() {
    assert_eq!(
        Minor(i64::MAX).checked_add(Minor(1)),
        Err(MoneyFault::Overflow)
    );
    assert_eq!(
        Minor(i64::MIN).checked_sub(Minor(1)),
        Err(MoneyFault::Overflow)
    );
    assert_eq!(Minor(i64::MAX).checked_times(2), Err(MoneyFault::Overflow));
    assert_eq!(Minor(250).checked_times(4), Ok(Minor(1_000)));
    assert_eq!(Minor(5).checked_sub(Minor(7)), Ok(Minor(-2)));
    assert_eq!(
        Minor::checked_sum([Minor(1), Minor(2), Minor(3)]),
        Ok(Minor(6))
    );
    assert_eq!(Minor::checked_sum([]), Ok(Minor::ZERO));
    assert_eq!(
        Minor::checked_sum([Minor(i64::MAX), Minor(1), Minor(-1)]),
        Err(MoneyFault::Overflow)
    );
}

#[test]
fn what_is_given_is_above_zero() {
    assert_eq!(Minor::positive(1), Ok(Minor(1)));
    for amount in [0, -1, i64::MIN] {
        assert_eq!(Minor::positive(amount), Err(MoneyFault::NotPositive));
    }
}

#[test]
fn currencies_do_not_mix() {
    assert_eq!(
        money(100, "EUR").checked_add(money(50, "EUR")),
        Ok(money(150, "EUR"))
    );
    assert_eq!(
        money(100, "EUR").checked_sub(money(50, "EUR")),
        Ok(money(50, "EUR"))
    );
    let mixed = money(1, "EUR")
        .checked_add(money(1, "USD"))
        .expect_err("mixed");
    assert_eq!(
        mixed.to_string(),
        "the amounts are in EUR and USD; convert one of them first"
    );
    assert_eq!(money(1, "EUR").checked_sub(money(1, "USD")), Err(mixed));
    assert_eq!(
        money(i64::MAX, "EUR").checked_add(money(1, "EUR")),
        Err(MoneyFault::Overflow)
    );
    assert_eq!(money(150, "EUR").to_string(), "150 EUR");
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn sums_are_exact_or_refused(a in any::<i64>(), b in any::<i64>()) {
        let exact = i128::from(a) + i128::from(b);
        match Minor(a).checked_add(Minor(b)) {
            Ok(sum) => prop_assert_eq!(i128::from(sum.0), exact),
            Err(_) => prop_assert!(i64::try_from(exact).is_err()),
        }
    }
}
