//! What was reported on the customers of a conditional campaign, one at a time.

use std::sync::Arc;

use jiff::Timestamp;

use crate::campaign::{Audience, Campaign};
use crate::hold::Hold;
use crate::write::{number, text};

/// One customer on the list to approve, and the reports on him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerStatus {
    /// The customer's id, as sent.
    pub customer_id: String,
    /// The last report in time; none if there was none, which counts as false.
    pub status: Option<bool>,
    /// When the last report in time came, on the sandbox clock.
    pub reported_at: Option<Timestamp>,
    /// Reports in time, up to 15; more count as 15.
    pub times: u32,
    /// Reports after the deadline or the cancellation, up to 15 too.
    pub late: u32,
    /// The deadline of the customer's send group.
    pub clearance_required_by: Timestamp,
}

impl CustomerStatus {
    /// Appends the status as one line of JSON.
    pub(crate) fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"customer_id\":");
        text(out, &self.customer_id);
        out.extend_from_slice(match self.status {
            None => b",\"status\":null,\"reported_at\":",
            Some(true) => b",\"status\":true,\"reported_at\":",
            Some(false) => b",\"status\":false,\"reported_at\":",
        });
        match self.reported_at {
            None => out.extend_from_slice(b"null"),
            Some(at) => text(out, &at.to_string()),
        }
        out.extend_from_slice(b",\"times\":");
        number(out, u64::from(self.times));
        out.extend_from_slice(b",\"late\":");
        number(out, u64::from(self.late));
        out.extend_from_slice(b",\"clearance_required_by\":");
        text(out, &self.clearance_required_by.to_string());
        out.extend_from_slice(b"}\n");
    }
}

/// Everyone on the list to approve, in the order of the campaign; those of send groups that are
/// not announced yet included. The statuses are those of the moment each is asked for.
pub struct Statuses {
    campaign: Arc<Campaign>,
    hold: Hold,
    /// The next position of a counted audience, or the next entry of a list.
    unit: u64,
}

impl Statuses {
    pub(crate) fn new(campaign: Arc<Campaign>, hold: Hold) -> Self {
        Self {
            campaign,
            hold,
            unit: 0,
        }
    }

    /// The customer at a place, if he is on the list and is met there for the first time.
    fn customer(&self, unit: u64) -> Option<String> {
        match &self.campaign.audience {
            Audience::Counted { .. } => {
                let reached = self.campaign.reaches(unit);
                reached.then(|| self.campaign.customer_id(unit))
            }
            Audience::Listed(listed) => {
                let id = &listed[unit as usize].id;
                let is_first = listed[unit as usize].unit == unit;
                (is_first && self.hold.board.lists(id)).then(|| id.clone())
            }
        }
    }
}

impl Iterator for Statuses {
    type Item = CustomerStatus;

    fn next(&mut self) -> Option<CustomerStatus> {
        while self.unit < self.campaign.units() {
            let unit = self.unit;
            self.unit += 1;
            let Some(customer_id) = self.customer(unit) else {
                continue;
            };
            let standing = self.hold.board.standing(unit);
            let group = (unit % self.hold.groups.len() as u64) as usize;
            return Some(CustomerStatus {
                customer_id,
                status: standing.status,
                reported_at: standing.reported_at,
                times: standing.times,
                late: standing.late,
                clearance_required_by: self.hold.groups[group].deadline,
            });
        }
        None
    }
}
