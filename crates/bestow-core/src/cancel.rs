//! What becomes of a campaign that a notification says was cancelled (event 4).
//!
//! The notification itself suspends the campaign and is believed no further: an address may leak.
//! Optimove is asked, and [`look`] says what its answers are worth. A confirmation counts at once;
//! everything else only when a second look some time later finds the same, which [`settle`] sees to.
//! A campaign goes on only on positive evidence: a list that is not there is none.

use crate::name::named_enum;

/// How long Optimove keeps the list of a cancelled campaign's customers after it told of the
/// cancel. An empty list says nothing from then on.
pub const LIST_WINDOW_SECONDS: i64 = 7_200;

named_enum! {
    /// What is done where Optimove cannot tell whether a campaign was cancelled. A tenant's
    /// setting.
    "way to treat an unconfirmed cancel" Unconfirmed {
        /// The campaign is revoked, and marked as unconfirmed.
        Revoke = "revoke",
        /// The campaign stays suspended until a person decides.
        Suspend = "suspend",
    }
}

/// What came of asking for the customers of a cancelled campaign (`GetCanceledCampaignCustomers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListSaid {
    /// It named customers.
    Customers,
    /// It was given, and was empty.
    Nobody,
    /// It is not there (404, 405): the newest API has dropped it.
    NotThere,
    /// It could not be read.
    Unreadable,
}

/// What came of asking for the campaign (`GetCampaignDetails`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DetailsSaid {
    /// Its `Status` says that it was cancelled.
    Cancelled,
    /// Its `Status` is `Successful`.
    Successful,
    /// It has another `Status`, or none.
    NothingOfUse,
    /// Optimove does not know the campaign.
    UnknownCampaign,
    /// It could not be read.
    Unreadable,
}

impl DetailsSaid {
    /// Reads a `Status`, in any letter case. Both spellings, with one L and with two, are in use.
    pub fn of_status(status: Option<&str>) -> Self {
        let status = status.unwrap_or_default().trim().to_lowercase();
        if status.contains("cancel") {
            Self::Cancelled
        } else if status == "successful" {
            Self::Successful
        } else {
            Self::NothingOfUse
        }
    }
}

/// Whether the list was asked for while Optimove still kept it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListWindow {
    /// Within [`LIST_WINDOW_SECONDS`] of the notification.
    Open,
    /// After it.
    Over,
}

impl ListWindow {
    /// The window at `now_ms` of a notification taken in at `notified_ms`.
    pub const fn at(now_ms: i64, notified_ms: i64) -> Self {
        if now_ms.saturating_sub(notified_ms) < LIST_WINDOW_SECONDS * 1_000 {
            Self::Open
        } else {
            Self::Over
        }
    }
}

/// What one look at Optimove is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Optimove says that the campaign was cancelled.
    Confirms,
    /// Optimove says that it ran as planned and was taken from nobody.
    Contradicts,
    /// Neither.
    CannotTell,
}

/// What two answers are worth together.
pub const fn look(list: ListSaid, details: DetailsSaid, window: ListWindow) -> Evidence {
    match (list, details, window) {
        (ListSaid::Customers, _, _) | (_, DetailsSaid::Cancelled, _) => Evidence::Confirms,
        (ListSaid::Nobody, DetailsSaid::Successful, ListWindow::Open) => Evidence::Contradicts,
        _ => Evidence::CannotTell,
    }
}

/// What is to be done about the campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// Confirmed: it is revoked.
    Revoke,
    /// Contradicted twice: its suspension is lifted, and people are told that somebody sent a
    /// notification which Optimove knows nothing of.
    Lift,
    /// Nobody can tell, and the tenant wants it revoked.
    RevokeUnconfirmed,
    /// Nobody can tell, and the tenant wants it to wait for a person.
    KeepSuspended,
    /// Too early to say: look again later.
    LookAgain,
}

/// Decides from the look before, this look, and what the tenant wants where nobody can tell.
///
/// Without a look before, only a confirmation settles anything, unless the time in which Optimove
/// can tell is over: then there is nothing to wait for.
pub const fn settle(
    before: Option<Evidence>,
    now: Evidence,
    window: ListWindow,
    unconfirmed: Unconfirmed,
) -> Settlement {
    match (before, now, window) {
        (_, Evidence::Confirms, _) => Settlement::Revoke,
        (None, _, ListWindow::Open) => Settlement::LookAgain,
        (Some(Evidence::Contradicts), Evidence::Contradicts, _) => Settlement::Lift,
        _ => match unconfirmed {
            Unconfirmed::Revoke => Settlement::RevokeUnconfirmed,
            Unconfirmed::Suspend => Settlement::KeepSuspended,
        },
    }
}
