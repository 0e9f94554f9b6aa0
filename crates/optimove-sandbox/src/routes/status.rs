//! `UpdateCustomerPromotionStatus`: who may get a conditional campaign.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Call;
use crate::answer::{Refusal, Reply};
use crate::approval::{LateOnes, Taken};
use crate::entry::State;
use crate::id::CampaignId;
use crate::switch::{BatchBadEntry, LateStatus};

/// Most customers in one call.
const REPORTS_MAX: usize = 10_000;

/// Takes the reports: the last one on a customer counts, until his send group is cleared.
pub(super) fn update(call: &Call) -> Result<Reply, Refusal> {
    let body: BTreeMap<Cow<str>, &RawValue> = serde_json::from_slice(call.body)
        .map_err(|_| Refusal::bad_request("The body is not a JSON object."))?;
    let field = |name: &str| {
        let mut fields = body.iter();
        let found = fields.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.get())
    };
    let id = field("CampaignID").and_then(campaign_id);
    let id = id.ok_or_else(|| Refusal::bad_request("CampaignID is missing or not a number."))?;
    let stamp = field("TimeStamp").unwrap_or("null");
    if serde_json::from_str::<Option<&str>>(stamp).is_err() {
        return Err(Refusal::bad_request("TimeStamp is not a text."));
    }
    let reports = reports(call, field("PromosUpdated").unwrap_or_default())?;
    let now = call.shared.clock.now();
    call.shared.with_tenant(call.tenant, |tenant| {
        let entry = tenant.campaigns.get(&id);
        let hold = entry.and_then(|entry| Some((entry, entry.hold.as_ref()?)));
        let unknown = || Refusal::bad_request("The campaign is not known or not conditional.");
        let (entry, hold) = hold.ok_or_else(unknown)?;
        let over = entry.state != State::Held;
        let is_late = |group: usize| {
            let group = &hold.groups[group];
            over || group.phase.executed_on().is_some() || now >= group.deadline
        };
        let late_ones = match call.switches.late_status {
            LateStatus::Ignore => LateOnes::Ignored,
            LateStatus::Refuse => LateOnes::RefuseAll,
        };
        let each = reports
            .iter()
            .map(|report| (&*report.customer, report.status));
        match hold
            .board
            .report(&entry.campaign, each, now, is_late, late_ones)
        {
            Taken::Counted => Ok(Reply::Void),
            Taken::Refused => Err(Refusal::bad_request("ClearanceRequiredBy is over.")),
            Taken::TooMany => Err(Refusal::bad_request("Too many calls for one campaign.")),
        }
    })
}

/// Reads the entries; the switch says what one bad entry does to the rest.
fn reports<'a>(call: &Call, json: &'a str) -> Result<Vec<Report<'a>>, Refusal> {
    let entries: Vec<&'a RawValue> = serde_json::from_str(json)
        .map_err(|_| Refusal::bad_request("PromosUpdated is missing or not an array."))?;
    if entries.len() > REPORTS_MAX {
        return Err(Refusal::bad_request(format!(
            "At most {REPORTS_MAX} customers are allowed in one call."
        )));
    }
    let read_all = entries.iter().enumerate().map(|(index, entry)| {
        let bad = |_| Refusal::bad_request(format!("Entry {index} is not valid."));
        serde_json::from_str(entry.get()).map_err(bad)
    });
    match call.switches.batch_bad_entry {
        BatchBadEntry::RefuseAll => read_all.collect(),
        BatchBadEntry::Skip => Ok(read_all.flatten().collect()),
    }
}

/// A number, or digits in a string.
fn campaign_id(json: &str) -> Option<CampaignId> {
    let number = match serde_json::from_str(json) {
        Ok(number) => Some(number),
        Err(_) => serde_json::from_str::<&str>(json).ok()?.trim().parse().ok(),
    };
    number.map(CampaignId::Number)
}

/// One report; names of fields in any letter case, other fields skipped.
#[derive(Debug)]
struct Report<'a> {
    customer: Cow<'a, str>,
    status: bool,
}

/// Text that is borrowed where nothing in it is escaped.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Report<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Report<'de>;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a report with CustomerID and Status")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Report<'de>, M::Error> {
                let (mut customer, mut status) = (None, None);
                while let Some(Text(name)) = map.next_key()? {
                    if name.eq_ignore_ascii_case("CustomerID") {
                        customer = Some(map.next_value::<Text>()?.0);
                    } else if name.eq_ignore_ascii_case("Status") {
                        status = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                let missing = serde::de::Error::missing_field;
                Ok(Report {
                    customer: customer.ok_or_else(|| missing("CustomerID"))?,
                    status: status.ok_or_else(|| missing("Status"))?,
                })
            }
        }

        from.deserialize_map(Fields)
    }
}
