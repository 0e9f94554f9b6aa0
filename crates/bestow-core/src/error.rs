//! Every fault of this crate under one roof, for callers that only pass it on.

use crate::id::{
    CampaignIdFault, CustomerIdFault, NumberFault, OccurrenceFault, PromoCodeFault, TenantIdFault,
};
use crate::money::MoneyFault;
use crate::name::UnknownName;
use crate::window::{WindowFault, ZoneFault};

/// A value from outside that could not become one of our types. Always the sender's to mend; trying
/// again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub enum Fault {
    /// Not a tenant id.
    Tenant(#[from] TenantIdFault),
    /// Not a customer id.
    Customer(#[from] CustomerIdFault),
    /// Not a campaign id.
    Campaign(#[from] CampaignIdFault),
    /// Not a channel or action id.
    Number(#[from] NumberFault),
    /// Not a promo code.
    PromoCode(#[from] PromoCodeFault),
    /// Not an occurrence.
    Occurrence(#[from] OccurrenceFault),
    /// Not an amount or a currency.
    Money(#[from] MoneyFault),
    /// Not a name of one of our enums.
    Name(#[from] UnknownName),
    /// Not a time zone.
    Zone(#[from] ZoneFault),
    /// No eligibility window can be made.
    Window(#[from] WindowFault),
}
