//! The decisions of Bestow: pure code without clock, randomness, I/O, SQL or HTTP.
//!
//! Facts and the instant of asking go in, an answer comes out. Whoever calls has read the facts in
//! one transaction and writes the answer in the same one; nothing here remembers anything. That is
//! why a history of a campaign can be tried a million times without a database, and why the API,
//! the console, the announcements and a replay cannot disagree: they all ask the same functions.
//!
//! | question | answer |
//! | --- | --- |
//! | which codes does this row carry? | [`code::codes_in_row`] |
//! | from when to when may it be redeemed? | [`window::window_of`] |
//! | is this pair granted, repeated, held or refused? | [`import`] |
//! | what is this grant's status? | [`grant::status`] |
//! | may this customer redeem this code now? | [`outcome::eligibility`] |
//! | how much does a redemption take, and what is left of its grant? | [`redemption::Terms::take`] |
//! | may this campaign go on without a second person? | [`guard::weigh`] |
//! | which unique code is given next, and is the pool low? | [`pool`] |
//! | is the list read to its end? | [`import::completeness`] |
//! | what becomes of a trigger, what does the gateway say? | [`trigger`] |
//! | may this customer of a conditional campaign be approved, and is there time? | [`clearance`] |
//! | whose turn is it, of many tenants? | [`turns`] |
//! | have we had this notification before? | [`notification::NotificationKey`] |
//! | was this campaign really cancelled? | [`cancel::settle`] |
//! | which grants does this row of the ended list mean? | [`ended::EndedAction::ends`] |

mod name;
mod text;

pub mod id;
pub mod money;

pub mod clearance;
pub mod code;
pub mod window;

pub mod campaign;
pub mod cancel;
pub mod ended;
pub mod grant;
pub mod guard;
pub mod pool;
pub mod promotion;
pub mod redemption;
pub mod retention;

pub mod announce;
pub mod delivery;

pub mod import;
pub mod notification;
pub mod outcome;
pub mod trigger;
pub mod turns;

pub mod error;

pub use campaign::{CampaignFacts, CampaignKind, CampaignStatus};
pub use error::Fault;
pub use grant::{Clearance, GrantFacts, GrantSource, GrantStatus};
pub use id::{ActionId, CampaignId, ChannelId, CustomerId, Occurrence, PromoCode, TenantId};
pub use money::{Currency, Minor, Money};
pub use name::UnknownName;
pub use outcome::{HoldReason, Refusal, RefuseReason};
pub use pool::{GivenCode, UniqueCode};
pub use promotion::{PromotionFacts, PromotionKind, PromotionStatus};
pub use window::{Duration, Expiry, LeadTime, ScheduleTime, Walls, Window, ZONE_DATA, Zone};
